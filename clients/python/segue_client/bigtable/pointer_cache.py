"""The published generation as a reader knows it: read again before it is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from segue_client.bigtable.pointer import Pointer
from segue_client.errors import LookupFailedError, NothingPublishedError


@dataclass(frozen=True)
class Snapshot:
    """A pointer, the request that reads by it (without keys), and when it was asked for."""

    pointer: Pointer
    request: bytes
    asked_at: float


class PointerCache:
    """Gives a pointer that is at most ``refresh_seconds`` old.

    From half of that age on it is read again in the background, so that no lookup waits for it while there
    are lookups. When it cannot be read, the known one serves on until it is ``bound_seconds`` old.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Pointer | None]],
        request_for: Callable[[int], bytes],
        *,
        refresh_seconds: float,
        bound_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Reads the pointer with ``read``; ``request_for`` makes the request of a generation."""
        self._read = read
        self._request_for = request_for
        self._refresh_seconds = refresh_seconds
        self._bound_seconds = bound_seconds
        self._monotonic = monotonic
        self._known: Snapshot | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def fresh(self) -> Snapshot | None:
        """The known pointer if it is young enough to be used without waiting."""
        known = self._known
        if known is None:
            return None
        age = self._monotonic() - known.asked_at
        if age >= self._refresh_seconds:
            return None
        if age >= self._refresh_seconds / 2:
            self._start_refresh()
        return known

    async def current(self) -> Snapshot:
        """The pointer, read again when it has to be; callers at the same time share one read.

        Raises:
            NothingPublishedError: no generation is published.
            LookupFailedError: it cannot be read, and the known one is too old.
        """
        called_at = self._monotonic()
        while True:
            known = self._known
            # what was asked for after the call is as new as can be, also when refresh_seconds is 0
            if known is not None and (
                known.asked_at >= called_at or called_at - known.asked_at < self._refresh_seconds
            ):
                return known
            try:
                await asyncio.shield(self._start_refresh())
            except LookupFailedError:
                if known is not None and self._monotonic() - known.asked_at < self._bound_seconds:
                    return known
                raise

    def _start_refresh(self) -> asyncio.Task[None]:
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        return self._refreshing

    async def _refresh(self) -> None:
        # the age counts from before the read: the answer may be as old as the question
        asked_at = self._monotonic()
        pointer = await self._read()
        if pointer is None:
            self._known = None
            raise NothingPublishedError("no generation is published in this table")
        known = self._known
        if known is not None and known.pointer.generation_ms == pointer.generation_ms:
            request = known.request
        else:
            request = self._request_for(pointer.generation_ms)
        self._known = Snapshot(pointer, request, asked_at)

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled():
            # nobody may be waiting for it: an error here is raised again by the lookup that needs the pointer
            task.exception()

    async def close(self) -> None:
        """Ends a refresh that is on its way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
