"""Clients of the lookup service, with the same answers and errors as a reader of the table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc

from segue_client.account_ids import encoded, listed, of_batch
from segue_client.answer import Lookup, Outcome, found
from segue_client.errors import (
    InvalidRequestError,
    LookupFailedError,
    NothingPublishedError,
    SegueClientError,
    UnavailableError,
    UnreadableOffersError,
    failure_of,
)
from segue_client.keepalive import KEEPALIVE
from segue_client.wire.offers_pb2 import (
    LOOKUP_OUTCOME_EXPIRED,
    LOOKUP_OUTCOME_FOUND,
    LOOKUP_OUTCOME_SUPPRESSED,
    LOOKUP_OUTCOME_UNKNOWN_ACCOUNT,
    BatchLookupRequest,
    BatchLookupResponse,
    LookupRequest,
    LookupResponse,
)
from segue_client.wire.offers_pb2_grpc import OfferLookupStub

_OUTCOMES: Final = {
    LOOKUP_OUTCOME_FOUND: Outcome.FOUND,
    LOOKUP_OUTCOME_UNKNOWN_ACCOUNT: Outcome.UNKNOWN,
    LOOKUP_OUTCOME_SUPPRESSED: Outcome.SUPPRESSED,
    LOOKUP_OUTCOME_EXPIRED: Outcome.EXPIRED,
}
_SERVICE_CONFIG: Final = (files("segue_client") / "proto/segue/offers/v1/service_config.json").read_text(
    encoding="utf-8"
)
"""gRPC's own retries, as clients of every language have them: they follow the server's pushback."""
_OPTIONS: Final = (
    ("grpc.service_config", _SERVICE_CONFIG),
    # a batch may have more than gRPC's 4 MiB in answers
    ("grpc.max_receive_message_length", -1),
    # gRPC's own two minutes would outlast a long outage of the service by as much
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_LONGEST_SECONDS: Final = 86_400
"""gRPC takes a deadline that is too far away for one that has passed."""


class _ServiceClient:
    """What the blocking client and the one for an event loop share: all but the waiting."""

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        timeout_seconds: float = 2.0,
        ca_file: Path | str | None = None,
        client_certificate_file: Path | str | None = None,
        client_key_file: Path | str | None = None,
    ) -> None:
        """A client of the service at ``address`` (host:port), which it connects to when it is first asked.

        ``token`` is what ``segue callers`` gave; ``timeout_seconds`` bounds each call with its retries;
        ``ca_file`` holds the authorities (PEM) by which the service is known, without it there is no TLS;
        the client's own certificate and key (PEM) are for mutual TLS.

        Raises:
            OSError: a file cannot be read.
            ValueError: ``timeout_seconds`` is not positive or more than a day, ``token`` can be in no
                header, or there is a certificate to show and no TLS to show it by.
        """
        if not 0 < timeout_seconds <= _LONGEST_SECONDS:
            raise ValueError(f"timeout_seconds must be positive, and at most a day: {timeout_seconds}")
        if ca_file is None and (client_certificate_file, client_key_file) != (None, None):
            raise ValueError("a client certificate is shown over TLS only, which needs ca_file")
        self._timeout_seconds = timeout_seconds
        self._metadata = () if token is None else (("authorization", _bearer(token)),)
        self._is_closed = False
        options = (*_OPTIONS, *KEEPALIVE)
        if ca_file is None:
            self._channel = self._grpc.insecure_channel(address, options=options)
        else:
            credentials = grpc.ssl_channel_credentials(
                root_certificates=Path(ca_file).read_bytes(),
                private_key=_optional(client_key_file),
                certificate_chain=_optional(client_certificate_file),
            )
            self._channel = self._grpc.secure_channel(address, credentials, options=options)
        self._stub = OfferLookupStub(self._channel)  # type: ignore[no-untyped-call]

    _grpc: Any = grpc

    def _call(self, method: Any, request: Any) -> Any:
        if self._is_closed:
            raise UnavailableError("this client is closed", grpc.StatusCode.UNAVAILABLE)
        return method(request, timeout=self._timeout_seconds, metadata=self._metadata)


class OfferServiceClient(_ServiceClient):
    """Point and batch lookups through the service; safe to share between threads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; calls in flight fail, and later ones too."""
        self._is_closed = True
        self._channel.close()

    def lookup(self, account_id: str) -> Lookup:
        """What to offer one account now.

        Raises:
            InvalidRequestError: the service refuses the id.
            NothingPublishedError: no generation is published.
            UnreadableOffersError: what is stored of the account cannot be read.
            LookupFailedError: no answer in time, or refused; its subclasses say why.
        """
        try:
            return _lookup(self._call(self._stub.Lookup, _one(account_id)))
        except grpc.RpcError as error:
            raise _refusal(error) from error

    def lookup_many(self, account_ids: Sequence[str]) -> list[Lookup]:
        """What to offer several accounts now: one answer each, in order, all from one generation.

        Raises:
            As ``lookup``; also for more accounts than the service takes in one batch.
        """
        try:
            return _lookups(self._call(self._stub.BatchLookup, _several(account_ids)))
        except grpc.RpcError as error:
            raise _refusal(error) from error


class AsyncOfferServiceClient(_ServiceClient):
    """As ``OfferServiceClient``, for the event loop in which it is made."""

    _grpc = grpc.aio

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; calls in flight fail, and later ones too."""
        self._is_closed = True
        await self._channel.close()

    async def lookup(self, account_id: str) -> Lookup:
        """As ``OfferServiceClient.lookup``."""
        try:
            return _lookup(await self._call(self._stub.Lookup, _one(account_id)))
        except grpc.RpcError as error:
            raise _refusal(error) from error

    async def lookup_many(self, account_ids: Sequence[str]) -> list[Lookup]:
        """As ``OfferServiceClient.lookup_many``."""
        try:
            return _lookups(await self._call(self._stub.BatchLookup, _several(account_ids)))
        except grpc.RpcError as error:
            raise _refusal(error) from error


def _bearer(token: str) -> str:
    if not (token.isascii() and token.isprintable()):
        # without the token, which is a secret
        raise ValueError("the token has a line break or another character that no header can have")
    return f"Bearer {token}"


def _one(account_id: str) -> LookupRequest:
    encoded(account_id)
    return LookupRequest(account_id=account_id)


def _several(account_ids: Sequence[str]) -> BatchLookupRequest:
    asked = list(listed(account_ids))
    for index, account_id in enumerate(asked):
        of_batch(index, encoded, account_id)
    return BatchLookupRequest(account_ids=asked)


def _optional(path: Path | str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _refusal(error: grpc.RpcError) -> SegueClientError:
    status = error.code()
    if status is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidRequestError(error.details())
    if status is grpc.StatusCode.FAILED_PRECONDITION:
        return NothingPublishedError(error.details())
    if status is grpc.StatusCode.DATA_LOSS:
        return UnreadableOffersError(error.details())
    return failure_of(error)


def _lookups(response: BatchLookupResponse) -> list[Lookup]:
    return [_lookup(answer) for answer in response.answers]


def _lookup(answer: LookupResponse) -> Lookup:
    account = answer.account if answer.HasField("account") else None
    outcome = _OUTCOMES.get(answer.outcome)
    if outcome is None:
        raise LookupFailedError(
            f"the service answers outcome {answer.outcome}, which is newer than this client",
            grpc.StatusCode.UNIMPLEMENTED,
        )
    if account is None or outcome is not Outcome.FOUND:
        return Lookup(answer.account_id, outcome, answer.generation_ms, account)
    # A service that is older than this client names no decision and holds nothing back.
    return found(answer.account_id, answer.generation_ms, account, [*account.offers, *account.held_back])
