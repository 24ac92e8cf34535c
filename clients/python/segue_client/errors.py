"""Why there is no answer: one root, and a class for each thing that a caller may do about it.

Both ways to an answer raise the same: the lookup service's client and the reader of the table.
"""

from __future__ import annotations

from typing import Any, Final

import grpc

PUSHBACK: Final = "grpc-retry-pushback-ms"
"""Trailing metadata in which a server says after how many milliseconds to ask again; negative: not at all."""


class SegueClientError(Exception):
    """There is no answer.

    ``code`` names the kind for logs; ``hint`` says what to do about it, where that is always the same.
    """

    code: str = "failed"
    hint: str | None = None


class InvalidRequestError(SegueClientError, ValueError):
    """What was asked cannot be answered, however often it is asked; the message names what was given."""

    code = "invalid_request"


class InvalidAccountIdError(InvalidRequestError):
    """The account id cannot be a row key: empty, too long, or not encodable as UTF-8."""

    code = "invalid_account_id"


class NothingPublishedError(SegueClientError):
    """No generation has been published yet (or an emulator was restarted)."""

    code = "nothing_published"
    hint = "load a day first: `segue run` or the DAG offer_segments"


class UnreadableOffersError(SegueClientError):
    """What is stored of the account is no ``AccountOffers``; asking again gives the same."""

    code = "unreadable_offers"


class LookupFailedError(SegueClientError):
    """The service, or Bigtable, did not answer or refused; ``status`` is gRPC's word for it."""

    code = "lookup_failed"

    def __init__(self, message: str, status: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(message)
        self.status = status


class UnavailableError(LookupFailedError):
    """Nobody answers there, or there is more to do than can be: worth asking again, a little later."""

    code = "unavailable"


class LookupTimeoutError(LookupFailedError, TimeoutError):
    """No answer in time."""

    code = "timeout"

    def __init__(self, message: str, status: grpc.StatusCode = grpc.StatusCode.DEADLINE_EXCEEDED) -> None:
        super().__init__(message, status)


class NotAuthenticatedError(LookupFailedError):
    """The service does not know the token, or the identity may not read."""

    code = "not_authenticated"


class RateLimitedError(LookupFailedError):
    """The caller asks more than it may; ``retry_after_seconds``, where it is known, is how long to wait.

    It is unknown of a call whose deadline is sooner than that.
    """

    code = "rate_limited"
    retry_after_seconds: float | None = None


_BY_STATUS: Final[dict[grpc.StatusCode, type[LookupFailedError]]] = {
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: LookupTimeoutError,
    grpc.StatusCode.UNAUTHENTICATED: NotAuthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: NotAuthenticatedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimitedError,
}


def failure_of(error: grpc.RpcError) -> LookupFailedError:
    """A failed call as the error that says what to do about it."""
    status: grpc.StatusCode = error.code()
    failure = _BY_STATUS.get(status, LookupFailedError)(error.details() or status.name, status)
    if isinstance(failure, RateLimitedError):
        failure.retry_after_seconds = _pushback_seconds(error.trailing_metadata())
    return failure


def _pushback_seconds(metadata: Any) -> float | None:
    said = dict(metadata or ()).get(PUSHBACK)
    return None if said is None or int(said) < 0 else int(said) / 1000
