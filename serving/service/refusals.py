"""What a call that is not answered is told: its status, whether to come back, and when.

``PUSHBACK`` is for gRPC's own retries, which wait as long as it says and give up when it is negative. The
standard details of the status (``google.rpc``) say the same to whoever retries by other means: ``ErrorInfo``
has a ``reason`` that programs can tell apart, ``RetryInfo`` the pause.
docs/serving.md has a table of all of it; a test holds the two together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from segue_client.errors import (
    PUSHBACK,
    InvalidAccountIdError,
    LookupFailedError,
    LookupTimeoutError,
    NothingPublishedError,
    UnreadableOffersError,
)
from serving.service.telemetry import SERVICE

DETAILS: Final = "grpc-status-details-bin"
"""Trailing metadata with a ``google.rpc.Status``, where every language's gRPC looks for it."""

OVERLOAD_PAUSE_SECONDS: Final = 0.1
LONGEST_PROMISE_SECONDS: Final = 10.0
"""Nobody is told to come back later than this: a queue of promises must not outlive a flood for long."""


class BadRequestError(Exception):
    """The caller's mistake, in its own words: too large a batch, or bytes that are no request."""


@dataclass(frozen=True)
class Refusal:
    """A status, the reason in ``ErrorInfo``, and what is said unless there are better words for the case."""

    status: grpc.StatusCode
    reason: str
    message: str = ""


UNAUTHENTICATED: Final = Refusal(grpc.StatusCode.UNAUTHENTICATED, "UNKNOWN_TOKEN", "no known bearer token")
RATE_LIMITED: Final = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", "over the rate limit")
OVERLOADED: Final = Refusal(grpc.StatusCode.UNAVAILABLE, "OVERLOADED", "overloaded")
DRAINING: Final = Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING", "draining")
STORE_SILENT: Final = Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "the store does not answer")
STORE_LATE: Final = Refusal(
    grpc.StatusCode.DEADLINE_EXCEEDED, "STORE_TIMEOUT", "the store did not answer in time"
)
BAD_REQUEST: Final = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
NOTHING_PUBLISHED: Final = Refusal(
    grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_PUBLISHED", "no generation is published"
)
DAMAGED: Final = Refusal(
    grpc.StatusCode.DATA_LOSS, "DAMAGED_ACCOUNT", "what is stored of the account cannot be read"
)
REFUSALS: Final = (
    UNAUTHENTICATED, RATE_LIMITED, OVERLOADED, DRAINING, STORE_SILENT, STORE_LATE, BAD_REQUEST,
    NOTHING_PUBLISHED, DAMAGED,
)  # fmt: skip
"""Everything that a call can be told instead of an answer."""

EXPECTED_FAILURES: Final = (
    InvalidAccountIdError,
    BadRequestError,
    NothingPublishedError,
    LookupFailedError,
    UnreadableOffersError,
)
"""What a lookup may end with that ``refusal_of`` has words for."""


def refusal_of(failure: Exception) -> tuple[Refusal, str]:
    """What the caller is told of a failure; its own words only where the fault is its own."""
    if isinstance(failure, InvalidAccountIdError | BadRequestError):
        return BAD_REQUEST, str(failure)
    if isinstance(failure, NothingPublishedError):
        return NOTHING_PUBLISHED, NOTHING_PUBLISHED.message
    if isinstance(failure, LookupTimeoutError):
        return STORE_LATE, STORE_LATE.message
    if isinstance(failure, UnreadableOffersError):
        return DAMAGED, DAMAGED.message
    return STORE_SILENT, STORE_SILENT.message


def patience_of(context: Any) -> float:
    """Seconds for which a call's own deadline, and the longest promise, let it wait."""
    remaining = context.time_remaining()
    return LONGEST_PROMISE_SECONDS if remaining is None else min(remaining, LONGEST_PROMISE_SECONDS)


async def refuse(
    context: Any, refusal: Refusal, message: str = "", *, after_seconds: float | None = None
) -> NoReturn:
    """Ends the call. ``after_seconds``: when to come back; who cannot wait so long is told not to retry."""
    status = Status(code=refusal.status.value[0], message=message or refusal.message)
    status.details.append(_packed(ErrorInfo(reason=refusal.reason, domain=SERVICE)))
    pushback: tuple[tuple[str, str], ...] = ()
    if after_seconds is not None:
        # rounded up: who comes a moment early is refused once more
        pause_ms = math.ceil(after_seconds * 1000)
        pause = Duration()
        pause.FromMilliseconds(pause_ms)
        status.details.append(_packed(RetryInfo(retry_delay=pause)))
        pushback = ((PUSHBACK, str(pause_ms if after_seconds < patience_of(context) else -1)),)
    await context.abort(refusal.status, status.message, (*pushback, (DETAILS, status.SerializeToString())))
    raise AssertionError("abort raises")


def _packed(detail: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
