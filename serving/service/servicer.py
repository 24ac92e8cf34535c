"""The methods of ``OfferLookup``: admission, the lookup, its status, what is counted and logged of it.

Nothing that is logged, counted or traced names an account.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError

from segue_client.answer import Lookup, Outcome
from segue_client.bigtable.reader import AsyncOfferReader
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
from segue_client.wire.offers_pb2_grpc import OfferLookupServicer
from serving.service.callers import Caller, Callers, why_unknown
from serving.service.refusals import (
    DRAINING,
    EXPECTED_FAILURES,
    OVERLOAD_PAUSE_SECONDS,
    OVERLOADED,
    RATE_LIMITED,
    UNAUTHENTICATED,
    BadRequestError,
    patience_of,
    refusal_of,
    refuse,
)
from serving.service.telemetry import SERVICE, Telemetry

WIRE_OUTCOMES: Final = {
    Outcome.FOUND: LOOKUP_OUTCOME_FOUND,
    Outcome.UNKNOWN: LOOKUP_OUTCOME_UNKNOWN_ACCOUNT,
    Outcome.SUPPRESSED: LOOKUP_OUTCOME_SUPPRESSED,
    Outcome.EXPIRED: LOOKUP_OUTCOME_EXPIRED,
}
_log = structlog.get_logger()
_caller: ContextVar[Caller] = ContextVar("caller")
_Response = TypeVar("_Response")


@dataclass(frozen=True)
class Malformed:
    """A request that could not be read: so many bytes."""

    size: int


class Authentication(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets known callers through, and everybody to the health checks, whose askers have no token."""

    def __init__(self, callers: Callers, telemetry: Telemetry) -> None:
        self._callers = callers
        self._telemetry = telemetry
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse_unauthenticated)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        if details.method.startswith("/grpc.health.v1.Health/"):
            return await continuation(details)
        caller = self._callers.identify(_authorization(details.invocation_metadata))
        if caller is None:
            self._telemetry.refused("unauthenticated", "")
            return self._refusal
        _caller.set(caller)
        return await continuation(details)


class LookupServicer(OfferLookupServicer):
    """Answers from a reader, as many calls at a time as it is told."""

    def __init__(
        self, reader: AsyncOfferReader, telemetry: Telemetry, *, max_in_flight: int, max_batch: int
    ) -> None:
        self._reader = reader
        self._telemetry = telemetry
        self._max_in_flight = max_in_flight
        self._max_batch = max_batch
        self._is_draining = False
        self._idle = asyncio.Event()
        self.in_flight = 0

    async def drain(self, seconds: float) -> None:
        """Refuses calls from now on; returns when none is being answered any more, or after ``seconds``."""
        self._is_draining = True
        if self.in_flight:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)

    async def Lookup(self, request: LookupRequest | Malformed, context: Any) -> LookupResponse:  # noqa: N802
        """One account."""

        async def answer(caller: Caller) -> LookupResponse:
            if isinstance(request, Malformed):
                raise BadRequestError(f"{request.size:,} bytes that are no LookupRequest")
            found = await self._reader.lookup(request.account_id)
            self._telemetry.looked_up(caller.name, found.outcome.value)
            return _response(found)

        return await self._serve("Lookup", context, 1, answer)

    async def BatchLookup(  # noqa: N802
        self, request: BatchLookupRequest | Malformed, context: Any
    ) -> BatchLookupResponse:
        """Several accounts, answered in the order asked, all from one generation."""
        account_ids = [] if isinstance(request, Malformed) else request.account_ids

        async def answer(caller: Caller) -> BatchLookupResponse:
            if isinstance(request, Malformed):
                raise BadRequestError(f"{request.size:,} bytes that are no BatchLookupRequest")
            if len(account_ids) > self._max_batch:
                raise BadRequestError(
                    f"{len(account_ids):,} account ids in one batch; at most {self._max_batch:,} are allowed"
                )
            found = await self._reader.lookup_many(account_ids)
            for outcome, accounts in Counter(each.outcome.value for each in found).items():
                self._telemetry.looked_up(caller.name, outcome, accounts)
            return BatchLookupResponse(answers=[_response(each) for each in found])

        return await self._serve("BatchLookup", context, len(account_ids), answer)

    async def _serve(
        self,
        method: str,
        context: Any,
        accounts: int,
        answer: Callable[[Caller], Awaitable[_Response]],
    ) -> _Response:
        started = time.perf_counter()
        caller = _caller.get()
        if self._is_draining or self.in_flight >= self._max_in_flight:
            self._telemetry.refused("draining" if self._is_draining else "overloaded", caller.name)
            refusal = DRAINING if self._is_draining else OVERLOADED
            message = refusal.message.format(max_in_flight=self._max_in_flight)
            await refuse(context, refusal, message, after_seconds=OVERLOAD_PAUSE_SECONDS)
        if (seconds := caller.charge(accounts, patience_of(context))) > 0:
            self._telemetry.refused("rate_limited", caller.name)
            message = RATE_LIMITED.message.format(
                accounts=accounts, per_second=caller.lookups_per_second, seconds=seconds
            )
            await refuse(context, RATE_LIMITED, message, after_seconds=seconds)
        status = grpc.StatusCode.CANCELLED
        self.in_flight += 1
        try:
            with self._telemetry.span(method, context.invocation_metadata()):
                try:
                    response = await answer(caller)
                    status = grpc.StatusCode.OK
                    return response
                except EXPECTED_FAILURES as error:
                    refusal, message = refusal_of(error, has_deadline=context.time_remaining() is not None)
                    status = refusal.status
                    _log.warning(
                        "lookup failed",
                        method=method,
                        caller=caller.name,
                        status=status.name,
                        cause=type(error).__name__,
                    )
                    await refuse(context, refusal, message)
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()
            self._telemetry.called(method, caller.name, status.name, time.perf_counter() - started)


def handlers_of(servicer: LookupServicer) -> grpc.GenericRpcHandler:
    """The methods as gRPC calls them; what cannot be read they refuse themselves, as gRPC says UNKNOWN."""
    methods: dict[str, tuple[Any, Any, Any]] = {
        "Lookup": (servicer.Lookup, LookupRequest, LookupResponse),
        "BatchLookup": (servicer.BatchLookup, BatchLookupRequest, BatchLookupResponse),
    }
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=_reader_of(request),
                response_serializer=response.SerializeToString,
            )
            for name, (method, request, response) in methods.items()
        },
    )


def _reader_of(request: Any) -> Callable[[bytes], Any]:
    def read(raw: bytes) -> Any:
        try:
            return request.FromString(raw)
        except DecodeError:
            return Malformed(len(raw))

    return read


def _response(found: Lookup) -> LookupResponse:
    response = LookupResponse(
        account_id=found.account_id,
        outcome=WIRE_OUTCOMES[found.outcome],
        account=found.account,
        generation_ms=found.generation_ms,
    )
    if found.account is not None:
        # what may not be shown does not leave the house
        del response.account.offers[:], response.account.held_back[:]
        response.account.offers.extend(found.offers)
        response.account.held_back.extend(found.held_back)
    return response


def _authorization(metadata: Iterable[tuple[str, Any]]) -> str | None:
    return next((value for name, value in metadata if name == "authorization"), None)


async def _refuse_unauthenticated(_request: bytes, context: Any) -> NoReturn:
    await refuse(context, UNAUTHENTICATED, why_unknown(_authorization(context.invocation_metadata())))
