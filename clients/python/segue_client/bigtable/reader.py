"""Looks up what accounts should be offered now, from the published generation: async first, and blocking.

``AsyncOfferReader`` belongs to one event loop; ``OfferReader`` is the same for threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import grpc

from segue_client.account_ids import listed, of_batch
from segue_client.answer import Lookup, judge
from segue_client.bigtable import schema
from segue_client.bigtable.channel import async_channel
from segue_client.bigtable.coalescer import Coalescer
from segue_client.bigtable.cpu_shortage import CpuShortage
from segue_client.bigtable.pointer import Pointer, parse_pointer
from segue_client.bigtable.pointer_cache import PointerCache, Snapshot
from segue_client.bigtable.read_rows import TableAddress, offers_request, pointer_request, with_keys
from segue_client.bigtable.reads import RowReads, Rows
from segue_client.bigtable.row_key import row_key
from segue_client.instants import milliseconds

_KEYS_PER_BATCH_READ: Final = 200
_BATCH_READS_IN_FLIGHT: Final = 4

_Result = TypeVar("_Result")


class AsyncOfferReader:
    """Point and batch lookups on one channel, for the event loop in which it was made.

    Every answer is of one generation that was published at most ``refresh_seconds`` before it was asked
    for, or, while the pointer cannot be read, ``MAX_POINTER_STALENESS_SECONDS`` before it is given.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        address: TableAddress,
        *,
        refresh_seconds: float = 5.0,
        timeout_seconds: float = 2.0,
        hedge_after_seconds: float | None = None,
        linger_seconds: float = 0.002,
        busy_linger_seconds: float = 0.0,
        reads_in_flight: int = 8,
        keys_per_read: int = 64,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Reads ``address`` through ``channel``, which stays the caller's to close.

        ``timeout_seconds`` bounds each lookup with its retries. A point read that is not answered after
        ``hedge_after_seconds`` is sent a second time (``None``: never). Concurrent point lookups share
        requests: while one is on its way, others wait up to ``linger_seconds`` for company. At most
        ``reads_in_flight`` requests of at most ``keys_per_read`` accounts are sent at a time.

        ``busy_linger_seconds`` is for an event loop whose lookups come from elsewhere, as a service's do:
        when the loop is short of CPU, they wait up to so long for company. Where those who ask wait for the
        answer in the same loop, it only makes them wait.

        Raises:
            ValueError: ``refresh_seconds`` is negative or above the contract's staleness bound, or another
                number is not positive.
        """
        if not 0 <= refresh_seconds <= schema.MAX_POINTER_STALENESS_SECONDS:
            raise ValueError(
                f"refresh_seconds must be in [0, {schema.MAX_POINTER_STALENESS_SECONDS}]: {refresh_seconds}"
            )
        if busy_linger_seconds < 0:
            raise ValueError(f"busy_linger_seconds must not be negative: {busy_linger_seconds}")
        if timeout_seconds <= 0 or linger_seconds <= 0 or reads_in_flight < 1 or keys_per_read < 1:
            raise ValueError(
                "timeout_seconds, linger_seconds, reads_in_flight and keys_per_read must be positive"
            )
        self._timeout_seconds = timeout_seconds
        self._now = now
        self._reads = RowReads(channel, address, hedge_after_seconds)
        self._pointer_request = pointer_request(address)
        self._pointers = PointerCache(
            self._read_pointer,
            lambda generation: offers_request(address, generation),
            refresh_seconds=refresh_seconds,
            # a read that starts with a known pointer shall also end within the bound
            bound_seconds=max(refresh_seconds, schema.MAX_POINTER_STALENESS_SECONDS - timeout_seconds),
            monotonic=monotonic,
        )
        self._points = Coalescer(
            self._read_keys,
            timeout_seconds=timeout_seconds,
            linger_seconds=linger_seconds,
            busy_linger_seconds=busy_linger_seconds,
            reads_in_flight=reads_in_flight,
            keys_per_read=keys_per_read,
            shortage=CpuShortage() if busy_linger_seconds else lambda: 0.0,
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, address: TableAddress, *, emulator_host: str | None = None, **arguments: Any
    ) -> AsyncIterator[AsyncOfferReader]:
        """A reader on a connection of its own, closed at the end; other arguments as for the constructor.

        ``emulator_host`` is the host:port of a Bigtable emulator; without it Google Cloud is asked.

        Raises:
            google.auth.exceptions.DefaultCredentialsError: no emulator is named and there are no credentials.
        """
        async with async_channel(emulator_host) as channel:
            reader = cls(channel, address, **arguments)
            try:
                yield reader
            finally:
                await reader.close()

    async def close(self) -> None:
        """Gives up what is on its way; the channel stays open."""
        await self._points.close()
        await self._pointers.close()

    @property
    def hedges_sent(self) -> int:
        """How many reads were sent a second time."""
        return self._reads.hedges_sent

    async def warm_up(self) -> None:
        """Opens the connection and has Bigtable prepare what the first lookups would wait for.

        Raises:
            LookupFailedError: Bigtable did not answer in time.
        """
        await self._reads.warm_up(self._timeout_seconds)

    async def pointer(self) -> Pointer:
        """The published generation as this reader sees it.

        Raises:
            NothingPublishedError: no generation is published.
            LookupFailedError: Bigtable did not answer in time.
        """
        return (await self._snapshot()).pointer

    async def lookup(self, account_id: str) -> Lookup:
        """What to offer one account now; concurrent lookups share reads.

        Raises:
            InvalidAccountIdError: the id cannot be a row key.
            NothingPublishedError: no generation is published.
            UnreadableOffersError: what is stored of the account cannot be read.
            LookupFailedError: Bigtable did not answer in time.
        """
        key = row_key(account_id)
        snapshot = self._pointers.fresh() or await self._pointers.current()
        columns = await self._points.get(snapshot.request, key)
        payload = None if columns is None else columns.get(schema.OFFERS_QUALIFIER)
        return judge(account_id, payload, snapshot.pointer.generation_ms, self._now_ms())

    async def lookup_many(self, account_ids: Sequence[str]) -> list[Lookup]:
        """What to offer several accounts now: one answer each, in order, all from one generation.

        Raises:
            InvalidAccountIdError: an id cannot be a row key; nothing was read.
            NothingPublishedError: no generation is published.
            UnreadableOffersError: what is stored of an account cannot be read.
            LookupFailedError: Bigtable did not answer in time.
        """
        keys = [of_batch(index, row_key, account_id) for index, account_id in enumerate(listed(account_ids))]
        if not keys:
            return []
        snapshot = await self._snapshot()
        rows = await self._read_many(snapshot.request, list(dict.fromkeys(keys)))
        now_ms = self._now_ms()
        generation = snapshot.pointer.generation_ms
        payloads = [rows.get(key, {}).get(schema.OFFERS_QUALIFIER) for key in keys]
        return [
            of_batch(index, judge, account_id, payload, generation, now_ms)
            for index, (account_id, payload) in enumerate(zip(account_ids, payloads, strict=True))
        ]

    async def _read_many(self, request: bytes, keys: list[bytes]) -> Rows:
        if len(keys) <= _KEYS_PER_BATCH_READ:
            return await self._read_keys(request, keys)
        chunks = iter(
            [
                keys[start : start + _KEYS_PER_BATCH_READ]
                for start in range(0, len(keys), _KEYS_PER_BATCH_READ)
            ]
        )
        rows: Rows = {}

        async def read_chunks() -> None:
            for chunk in chunks:
                rows.update(await self._read_keys(request, chunk))

        async with asyncio.TaskGroup() as group:
            for _ in range(_BATCH_READS_IN_FLIGHT):
                group.create_task(read_chunks())
        return rows

    async def _read_keys(self, request: bytes, keys: list[bytes]) -> Rows:
        return await self._reads.read(with_keys(request, keys), self._timeout_seconds)

    async def _read_pointer(self) -> Pointer | None:
        rows = await self._reads.read(self._pointer_request, self._timeout_seconds)
        return parse_pointer(rows.get(schema.POINTER_ROW_KEY, {}))

    async def _snapshot(self) -> Snapshot:
        return self._pointers.fresh() or await self._pointers.current()

    def _now_ms(self) -> int:
        return milliseconds(self._now())


class OfferReader:
    """The blocking face of ``AsyncOfferReader``, safe to share between threads; made by ``open``.

    It runs an event loop in a thread of its own, so lookups of several threads share reads too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: AsyncOfferReader) -> None:
        self._loop = loop
        self._reader = reader

    @classmethod
    @contextmanager
    def open(
        cls, address: TableAddress, *, emulator_host: str | None = None, **arguments: Any
    ) -> Iterator[OfferReader]:
        """A reader on a connection of its own, closed at the end; arguments as for ``AsyncOfferReader``."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(_ignore_poller_races)
        thread = threading.Thread(target=loop.run_forever, name="offer-reader", daemon=True)
        thread.start()
        opened = AsyncOfferReader.open(address, emulator_host=emulator_host, **arguments)
        try:
            reader = _wait(loop, opened.__aenter__())
            try:
                yield cls(loop, reader)
            finally:
                _wait(loop, opened.__aexit__(None, None, None))
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def pointer(self) -> Pointer:
        """As ``AsyncOfferReader.pointer``."""
        return _wait(self._loop, self._reader.pointer())

    def lookup(self, account_id: str) -> Lookup:
        """As ``AsyncOfferReader.lookup``."""
        return _wait(self._loop, self._reader.lookup(account_id))

    def lookup_many(self, account_ids: Sequence[str]) -> list[Lookup]:
        """As ``AsyncOfferReader.lookup_many``."""
        return _wait(self._loop, self._reader.lookup_many(account_ids))


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _Result]) -> _Result:
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def _ignore_poller_races(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """``grpc.aio`` wakes every event loop of the process for each event; those too late find nothing to read.

    It reports that as an error although nothing is lost (https://github.com/grpc/grpc/issues/25364).
    """
    if not isinstance(context.get("exception"), BlockingIOError):
        loop.default_exception_handler(context)
