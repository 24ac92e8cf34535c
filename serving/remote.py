"""A client of the lookup service, with the same answers and errors as a reader of the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from google.api_core.exceptions import from_grpc_error

from segue.settings import Settings
from serving.answer import Lookup, Outcome, found
from serving.pointer import NothingPublishedError
from serving.row_key import InvalidAccountIdError
from serving.wire.offers_pb2 import (
    LOOKUP_OUTCOME_EXPIRED,
    LOOKUP_OUTCOME_FOUND,
    LOOKUP_OUTCOME_SUPPRESSED,
    LOOKUP_OUTCOME_UNKNOWN_ACCOUNT,
    BatchLookupRequest,
    LookupRequest,
    LookupResponse,
)
from serving.wire.offers_pb2_grpc import OfferLookupStub

_OUTCOMES: Final = {
    LOOKUP_OUTCOME_FOUND: Outcome.FOUND,
    LOOKUP_OUTCOME_UNKNOWN_ACCOUNT: Outcome.UNKNOWN,
    LOOKUP_OUTCOME_SUPPRESSED: Outcome.SUPPRESSED,
    LOOKUP_OUTCOME_EXPIRED: Outcome.EXPIRED,
}
_SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "segue.offers.v1.OfferLookup"}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.02s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
)
"""gRPC's own retries: they follow the server's pushback and stop when most calls fail."""


class OfferServiceClient:
    """Point and batch lookups through the service; safe to share between threads. Made by ``open``."""

    def __init__(self, channel: grpc.Channel, token: str | None, timeout_seconds: float) -> None:
        self._stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        self._timeout_seconds = timeout_seconds

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[OfferServiceClient]:
        """A client of the service at ``service_address``, closed at the end."""
        with client_channel(settings) as channel:
            token = None if settings.service_token is None else settings.service_token.get_secret_value()
            yield cls(channel, token, settings.lookup_timeout_seconds)

    def lookup(self, account_id: str) -> Lookup:
        """What to offer one account now.

        Raises:
            InvalidAccountIdError: the service refuses the id.
            NothingPublishedError: no generation is published.
            google.api_core.exceptions.GoogleAPIError: no answer in time, or refused.
        """
        return _lookup(self._call(self._stub.Lookup, LookupRequest(account_id=account_id)))

    def lookup_many(self, account_ids: Sequence[str]) -> list[Lookup]:
        """What to offer several accounts now: one answer each, in order, all from one generation.

        Raises:
            As ``lookup``; also for more accounts than the service takes in one batch.
        """
        response = self._call(self._stub.BatchLookup, BatchLookupRequest(account_ids=account_ids))
        return [_lookup(answer) for answer in response.answers]

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise InvalidAccountIdError(error.details()) from error
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                raise NothingPublishedError(error.details()) from error
            raise from_grpc_error(error) from error


def client_channel(settings: Settings) -> grpc.Channel:
    """A channel to the service: TLS with ``service_ca_file``, mutual with a client certificate."""
    options = [("grpc.service_config", _SERVICE_CONFIG)]
    if settings.service_ca_file is None:
        return grpc.insecure_channel(settings.service_address, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=settings.service_ca_file.read_bytes(),
        private_key=_optional(settings.service_client_key_file),
        certificate_chain=_optional(settings.service_client_certificate_file),
    )
    return grpc.secure_channel(settings.service_address, credentials, options=options)


def _optional(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def _lookup(answer: LookupResponse) -> Lookup:
    account = answer.account if answer.HasField("account") else None
    outcome = _OUTCOMES[answer.outcome]
    if account is None or outcome is not Outcome.FOUND:
        return Lookup(answer.account_id, outcome, answer.generation_ms, account)
    # A service that is older than this client names no decision and holds nothing back.
    return found(answer.account_id, answer.generation_ms, account, [*account.offers, *account.held_back])
