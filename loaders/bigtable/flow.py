"""Server-driven flow control: Bigtable says how much faster or slower a batch writer should be.

A response may carry ``RateLimitInfo``: after ``period`` the request rate is multiplied by ``factor``. The
rules (a change at most once a period, factors held in [0.7, 1.3], an unanswered or overloaded request counts
as 0.7) are those of the official Java client's rate limiting.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from google.cloud.bigtable_v2.types import feature_flags

_LEAST_FACTOR: Final = 0.7
_MOST_FACTOR: Final = 1.3
_LEAST_RATE: Final = 0.1
_MOST_RATE: Final = 100_000.0
_ERROR_PERIOD_SECONDS: Final = 10.0


def features_metadata() -> tuple[str, str]:
    """The call metadata that asks the server for ``RateLimitInfo``."""
    flags: Any = feature_flags.FeatureFlags.meta.pb(mutate_rows_rate_limit=True, mutate_rows_rate_limit2=True)
    return "bigtable-features", base64.urlsafe_b64encode(flags.SerializeToString()).decode()


class FlowControl:
    """Paces requests once the server has asked for it; until then it lets everything through.

    Safe to share between threads.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._started_at = monotonic()
        self._requests = 0
        self._next_at = 0.0
        self._changes_at = 0.0
        self._rate: float | None = None

    @property
    def requests_per_second(self) -> float | None:
        """The rate that is kept now; ``None`` while the server has not asked for one."""
        return self._rate

    def acquire(self) -> None:
        """Waits until the next request may be sent."""
        with self._lock:
            self._requests += 1
            if self._rate is None:
                return
            now = self._monotonic()
            at = max(now, self._next_at)
            self._next_at = at + 1.0 / self._rate
        if at > now:
            self._sleep(at - now)

    def answered(self, factor: float, period_seconds: float) -> None:
        """Takes in what a response asks for."""
        with self._lock:
            now = self._monotonic()
            if self._rate is not None and now < self._changes_at:
                return
            rate = self._rate or self._requests / max(now - self._started_at, 0.001)
            bounded = min(max(factor, _LEAST_FACTOR), _MOST_FACTOR)
            self._rate = min(max(rate * bounded, _LEAST_RATE), _MOST_RATE)
            self._changes_at = now + period_seconds

    def overloaded(self) -> None:
        """Slows down after a request that the server did not manage; only if it drives the pace at all."""
        if self._rate is not None:
            self.answered(_LEAST_FACTOR, _ERROR_PERIOD_SECONDS)
