"""Whether a thread gets less CPU than it could use, from the CPU time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_NONE_UP_TO: Final = 0.6
_WHOLE_FROM: Final = 0.8
"""Shares of a core. Short of 1: gRPC's own threads may live on the same core as the loop that they serve."""
_SHORTEST_LOOK_SECONDS: Final = 0.02


class CpuShortage:
    """Call it in the thread that it is about: 0 while that has CPU to spare, 1 when it is always busy."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        thread_time: Callable[[], float] = time.thread_time,
    ) -> None:
        self._monotonic = monotonic
        self._thread_time = thread_time
        self._looked_at = monotonic()
        self._used = thread_time()
        self._shortage = 0.0

    def __call__(self) -> float:
        """The shortage between the last two looks, which are some hundredths of a second apart."""
        now = self._monotonic()
        if now - self._looked_at >= _SHORTEST_LOOK_SECONDS:
            used = self._thread_time()
            share = (used - self._used) / (now - self._looked_at)
            self._shortage = min(1.0, max(0.0, (share - _NONE_UP_TO) / (_WHOLE_FROM - _NONE_UP_TO)))
            self._looked_at, self._used = now, used
        return self._shortage
