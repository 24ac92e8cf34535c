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


UNAUTHENTICATED: Final = Refusal(grpc.StatusCode.UNAUTHENTICATED, "UNKNOWN_TOKEN")
RATE_LIMITED: Final = Refusal(
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "RATE_LIMITED",
    "{accounts:,} asked for, over the limit of {per_second:g} a second; there is room in {seconds:.1f} s",
)
OVERLOADED: Final = Refusal(
    grpc.StatusCode.UNAVAILABLE,
    "OVERLOADED",
    "this replica answers {max_in_flight:,} calls, the most that it does at a time",
)
DRAINING: Final = Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING", "this replica is about to stop")
STORE_SILENT: Final = Refusal(
    grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "offers cannot be read at the moment"
)
STORE_LATE: Final = Refusal(
    grpc.StatusCode.DEADLINE_EXCEEDED, "STORE_TIMEOUT", "offers could not be read in time"
)
BAD_REQUEST: Final = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
NOTHING_PUBLISHED: Final = Refusal(
    grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_PUBLISHED", "no generation is published"
)
DAMAGED: Final = Refusal(grpc.StatusCode.DATA_LOSS, "DAMAGED_ACCOUNT")
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


def refusal_of(failure: Exception, *, has_deadline: bool = True) -> tuple[Refusal, str]:
    """What the caller is told of a failure, of what it gave and never of what is behind the service.

    A call without a deadline of its own (``has_deadline``) is told that the service has one.
    """
    if isinstance(failure, InvalidAccountIdError | BadRequestError):
        return BAD_REQUEST, str(failure)
    if isinstance(failure, NothingPublishedError):
        return NOTHING_PUBLISHED, NOTHING_PUBLISHED.message
    if isinstance(failure, LookupTimeoutError):
        late = STORE_LATE.message
        return STORE_LATE, late if has_deadline else f"{late} (the call gave no deadline)"
    if isinstance(failure, UnreadableOffersError):
        return DAMAGED, str(failure)
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
