"""Asking a content management system again when that can help, and waiting as long as it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isnan
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from loaders.cms.contract import ContentError

Answer = TypeVar("Answer")

RESET_HEADER = "X-Contentful-RateLimit-Reset"
"""Seconds until the next request is allowed (Contentful, "API rate limits")."""


class TransientError(ContentError):
    """The system was busy, away or cut off; ``wait_seconds`` is what it asked for."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class Patience:
    """How often a request is made, how long the first wait is, and the longest wait that is worth it."""

    attempts: int = 6
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 60

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """The answer of ``request``, which is repeated while it raises ``TransientError``.

        A system that asks for more than ``longest_wait_seconds`` is left alone: the next run asks again.

        Raises:
            TransientError: the last attempt's.
        """
        backoff = wait_exponential_jitter(
            initial=self.first_wait_seconds, max=self.longest_wait_seconds, jitter=self.first_wait_seconds
        )

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait_seconds if isinstance(error, TransientError) else None
            return backoff(state) if asked is None else asked

        def is_worth_it(error: BaseException) -> bool:
            return isinstance(error, TransientError) and (
                error.wait_seconds is None or error.wait_seconds <= self.longest_wait_seconds
            )

        retrying = Retrying(
            retry=retry_if_exception(is_worth_it),
            stop=stop_after_attempt(self.attempts),
            wait=wait,
            reraise=True,
        )
        return retrying(request)


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer's headers ask to wait: Contentful's own, else HTTP's (seconds or a date)."""
    for header in (RESET_HEADER, "Retry-After"):
        value = headers.get(header)
        if value is None:
            continue
        try:
            seconds = float(value)
        except ValueError:
            pass
        else:
            if isnan(seconds):
                continue
            return max(0.0, seconds)
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return None
