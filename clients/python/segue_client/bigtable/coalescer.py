"""Concurrent point reads share requests.

A lone lookup is sent at once. While requests are on their way, further keys wait a moment for company and go
together: a request of many keys costs client, network and store little more than one of a single key, so
under load the work per lookup falls, and with it the time.

A loop that is short of CPU may have keys wait even while nothing is on its way: those who will ask are there
already and wait for the loop, so that a pause costs them nothing and saves requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice

from segue_client.bigtable.reads import Rows
from segue_client.errors import LookupTimeoutError

ReadKeys = Callable[[bytes, list[bytes]], Awaitable[Rows]]
"""Reads the rows of these keys by a request without keys."""

Columns = dict[bytes, bytes]
_Waiters = dict[bytes, list["asyncio.Future[Columns | None]"]]


class Coalescer:
    """Merges the point reads of one event loop into requests of several keys.

    Keys that are asked by different requests (of different generations) never share one.
    """

    def __init__(
        self,
        read: ReadKeys,
        *,
        timeout_seconds: float,
        linger_seconds: float,
        busy_linger_seconds: float = 0.0,
        reads_in_flight: int,
        keys_per_read: int,
        shortage: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Sends at most ``reads_in_flight`` requests at a time, of at most ``keys_per_read`` keys each.

        A key waits for others only while a request is on its way, at most ``linger_seconds``, or while the
        loop is short of CPU: for ``busy_linger_seconds`` times ``shortage``, which is in [0, 1].
        """
        self._read = read
        self._timeout_seconds = timeout_seconds
        self._linger_seconds = linger_seconds
        self._reads_in_flight = reads_in_flight
        self._keys_per_read = keys_per_read
        self._busy_linger_seconds = busy_linger_seconds
        self._shortage = shortage
        self._waiting: dict[bytes, _Waiters] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._scheduled: asyncio.Handle | None = None

    async def get(self, request: bytes, key: bytes) -> Columns | None:
        """The columns of one row, ``None`` when there is no such row.

        Raises:
            LookupFailedError: no answer within the timeout, waiting included.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Columns | None] = loop.create_future()
        waiting = self._waiting.setdefault(request, {})
        waiting.setdefault(key, []).append(future)
        if len(self._running) < self._reads_in_flight:
            if len(waiting) >= self._keys_per_read:
                self._schedule(0.0)
            elif self._scheduled is None:
                self._schedule(self._linger())
        timer = loop.call_later(self._timeout_seconds, _expire, future)
        try:
            return await future
        finally:
            timer.cancel()

    def _linger(self) -> float:
        """How many seconds a key waits for company now."""
        busy = self._busy_linger_seconds * self._shortage()
        return max(busy, self._linger_seconds) if self._running else busy

    def _schedule(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._scheduled is not None:
            self._scheduled.cancel()
        # not before everything that is ready now has asked too
        self._scheduled = loop.call_later(seconds, self._send) if seconds else loop.call_soon(self._send)

    def _send(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        while self._waiting and len(self._running) < self._reads_in_flight:
            request = next(iter(self._waiting))
            batch = self._take(request)
            if batch:
                task = asyncio.get_running_loop().create_task(self._answer(request, batch))
                self._running.add(task)
                task.add_done_callback(self._done)

    def _take(self, request: bytes) -> _Waiters:
        """The next keys of a request that somebody still waits for."""
        waiting = self._waiting[request]
        batch: _Waiters = {}
        for key in list(islice(waiting, self._keys_per_read)):
            futures = [future for future in waiting.pop(key) if not future.done()]
            if futures:
                batch[key] = futures
        if not waiting:
            del self._waiting[request]
        return batch

    async def _answer(self, request: bytes, batch: _Waiters) -> None:
        try:
            rows = await self._read(request, list(batch))
        except BaseException as error:
            for future in (future for futures in batch.values() for future in futures):
                if not future.done():
                    if isinstance(error, asyncio.CancelledError):
                        future.cancel()
                    else:
                        future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for key, futures in batch.items():
            columns = rows.get(key)
            for future in futures:
                if not future.done():
                    future.set_result(columns)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._waiting:
            return
        linger = self._linger()
        if not linger:
            self._send()
        elif self._scheduled is None:
            self._schedule(linger)

    async def close(self) -> None:
        """Cancels what is on its way."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._waiting.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _expire(future: asyncio.Future[Columns | None]) -> None:
    if not future.done():
        future.set_exception(LookupTimeoutError("no answer from Bigtable in time"))
