"""ReadRows over ``grpc.aio``: retried within a time limit and, when asked for, hedged."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable
from typing import Final

import grpc

from segue_client.bigtable.read_rows import (
    PING_AND_WARM,
    READ_ROWS,
    ReadRowsResponse,
    RowMerger,
    TableAddress,
    warm_up_request,
)
from segue_client.errors import LookupFailedError, UnavailableError, failure_of

Rows = dict[bytes, dict[bytes, bytes]]
"""Row key → column qualifier → value; a row that is not there has no entry."""

_TRANSIENT: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED})
_FIRST_PAUSE_SECONDS: Final = 0.01
_LONGEST_PAUSE_SECONDS: Final = 0.5
_HEDGES_PER_READ: Final = 0.1
_SAVED_HEDGES: Final = 10.0


class _TornStreamError(Exception):
    """A stream ended inside a row."""


class RowReads:
    """Sends ReadRows requests on one channel.

    With ``hedge_after_seconds`` a read that is not answered by then is sent a second time, and the first
    answer wins. At most one read in ten is, on the long run: a store that is slow as a whole must not be
    asked twice as much.
    """

    def __init__(
        self, channel: grpc.aio.Channel, address: TableAddress, hedge_after_seconds: float | None = None
    ) -> None:
        """Reads ``address`` through ``channel``, which stays the caller's to close."""
        self._call = channel.unary_stream(READ_ROWS, response_deserializer=ReadRowsResponse.FromString)
        self._metadata = address.metadata()
        self._warm_up = channel.unary_unary(PING_AND_WARM)
        self._address = address
        self._hedge_after_seconds = hedge_after_seconds
        self._hedges_saved = _SAVED_HEDGES
        self.hedges_sent = 0

    async def warm_up(self, timeout_seconds: float) -> None:
        """Opens the connection and has Bigtable prepare for reads through the app profile.

        Raises:
            LookupFailedError: no answer in time, or refused.
        """
        request, metadata = warm_up_request(self._address)
        try:
            await self._warm_up(request, timeout=timeout_seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise _failure_of(error) from error

    async def read(self, request: bytes, timeout_seconds: float) -> Rows:
        """The rows of a serialised ``ReadRowsRequest``.

        Raises:
            LookupFailedError: no complete answer in time, or refused.
        """
        deadline = time.monotonic() + timeout_seconds
        pause = _FIRST_PAUSE_SECONDS
        remaining = timeout_seconds
        while True:
            try:
                return await self._maybe_hedged(request, remaining)
            except (grpc.aio.AioRpcError, _TornStreamError) as error:
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                jittered = random.uniform(pause / 2, pause)
                remaining = deadline - time.monotonic() - jittered
                transient = isinstance(error, _TornStreamError) or error.code() in _TRANSIENT
                if not transient or remaining <= 0:
                    raise _failure_of(error) from error
            await asyncio.sleep(jittered)

    def _maybe_hedged(self, request: bytes, timeout_seconds: float) -> Awaitable[Rows]:
        if self._hedge_after_seconds is None or self._hedge_after_seconds >= timeout_seconds:
            return self._once(request, timeout_seconds)
        return self._hedged(request, timeout_seconds, self._hedge_after_seconds)

    async def _once(self, request: bytes, timeout_seconds: float) -> Rows:
        merger = RowMerger()
        async for response in self._call(request, timeout=timeout_seconds, metadata=self._metadata):
            merger.add(response)
        if merger.is_incomplete:
            raise _TornStreamError("a ReadRows stream ended inside a row")
        return merger.rows

    async def _hedged(self, request: bytes, timeout_seconds: float, after_seconds: float) -> Rows:
        self._hedges_saved = min(self._hedges_saved + _HEDGES_PER_READ, _SAVED_HEDGES)
        running = {asyncio.ensure_future(self._once(request, timeout_seconds))}
        try:
            done, _ = await asyncio.wait(running, timeout=after_seconds)
            if not done and self._hedges_saved >= 1:
                self._hedges_saved -= 1
                self.hedges_sent += 1
                running.add(asyncio.ensure_future(self._once(request, timeout_seconds - after_seconds)))
            while True:
                done, pending = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for attempt in done:
                    if attempt.exception() is None or not pending:
                        return attempt.result()
                running = pending
        finally:
            for attempt in running:
                attempt.cancel()


def _failure_of(error: grpc.aio.AioRpcError | _TornStreamError) -> LookupFailedError:
    return UnavailableError(str(error)) if isinstance(error, _TornStreamError) else failure_of(error)
