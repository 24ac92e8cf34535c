"""Starts the lookup service, keeps its health true, and ends it without dropping a call."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from segue.garbage import keep_what_is_there
from segue.settings import Settings
from segue_client.bigtable.pointer import Pointer
from segue_client.bigtable.reader import AsyncOfferReader
from segue_client.bigtable.row_key import MAX_ACCOUNT_ID_BYTES
from segue_client.errors import LookupFailedError, NothingPublishedError
from serving.configured import open_async_reader
from serving.service.callers import Callers, CallersFileError
from serving.service.certificates import ServiceConfigurationError, server_credentials
from serving.service.servicer import Authentication, LookupServicer, handlers_of
from serving.service.telemetry import SERVICE, Telemetry

_WATCH_SECONDS: Final = 1.0
_UNLIMITED: Final = 2**31 - 1
_BUSY_LINGER_SECONDS: Final = 0.005
"""Beyond what a core can answer one by one, calls queue for longer than this anyway."""
_DESCRIBED: Final = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)

_log = structlog.get_logger()


@dataclass(frozen=True)
class RunningService:
    """Where a started service is found."""

    port: int
    metrics_port: int | None


async def serve(
    settings: Settings,
    *,
    shares_port: bool = False,
    also_until: asyncio.Event | None = None,
    reader: type[AsyncOfferReader] = AsyncOfferReader,
    on_listening: Callable[[RunningService], None] = lambda _: None,
) -> None:
    """Runs the service until SIGTERM or SIGINT (or the event), then lets the calls in flight end.

    With ``shares_port`` other processes may listen on the same port. ``reader`` is the kind that answers.

    Raises:
        ServiceConfigurationError: it cannot be started like this.
    """
    stopped = also_until or asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopped.set)
    async with run_service(settings, shares_port=shares_port, reader=reader) as running:
        on_listening(running)
        # What calls make is freed without the collector, almost all.
        keep_what_is_there()
        await stopped.wait()
        _log.info("service is draining", seconds=settings.service_drain_seconds)
    _log.info("service has stopped")


@asynccontextmanager
async def run_service(
    settings: Settings, *, shares_port: bool = False, reader: type[AsyncOfferReader] = AsyncOfferReader
) -> AsyncIterator[RunningService]:
    """The service, started; at the end it says so, then takes no new calls and waits for those in flight.

    Raises:
        ServiceConfigurationError: it cannot be started like this.
    """
    credentials = server_credentials(settings)
    _refuse_open_doors(settings, secured=credentials is not None)
    try:
        callers = Callers(settings.service_callers_file)
    except CallersFileError as error:
        raise ServiceConfigurationError(str(error)) from error
    async with open_async_reader(
        settings,
        reader,
        refresh_seconds=settings.pointer_refresh_seconds,
        timeout_seconds=settings.lookup_timeout_seconds,
        hedge_after_seconds=settings.hedge_after_seconds,
        busy_linger_seconds=_BUSY_LINGER_SECONDS,
    ) as lookups:
        watch = _Watch(lookups, callers)
        telemetry = _telemetry(settings, watch, lookups)
        try:
            servicer = LookupServicer(
                lookups,
                telemetry,
                max_in_flight=settings.service_max_in_flight,
                max_batch=settings.service_max_batch,
            )
            watch.servicer = servicer
            server = grpc.aio.server(
                interceptors=[Authentication(callers, telemetry)],
                options=_server_options(settings, shares_port=shares_port),
            )
            server.add_generic_rpc_handlers((handlers_of(servicer),))
            health_pb2_grpc.add_HealthServicer_to_server(watch.health, server)
            reflection.enable_server_reflection(_DESCRIBED, server)
            port = _listen(server, settings.service_address, credentials)
            await watch.look()
            await server.start()
            watching = asyncio.create_task(watch.keep_looking())
            try:
                _log.info("service is listening", port=port, metrics_port=telemetry.metrics_port)
                yield RunningService(port, telemetry.metrics_port)
            finally:
                watching.cancel()
                await watch.health.enter_graceful_shutdown()
                # who deals calls out looks at the health now and then, and sends some until then
                await asyncio.sleep(settings.service_drain_wait_seconds)
                began = time.monotonic()
                await servicer.drain(settings.service_drain_seconds)
                await server.stop(max(0.0, began + settings.service_drain_seconds - time.monotonic()))
        finally:
            telemetry.close()


def _server_options(settings: Settings, *, shares_port: bool) -> list[tuple[str, int]]:
    options = [
        # without workers, a second service on the port is an error, not half of the calls gone elsewhere
        ("grpc.so_reuseport", int(shares_port)),
        # gRPC by itself throws calls away, as CANCELLED, when a thousand wait to be looked at
        ("grpc.server.max_pending_requests", _UNLIMITED),
        ("grpc.server.max_pending_requests_hard_limit", _UNLIMITED),
        # a batch that is too large is refused in our words, up to several times too large
        ("grpc.max_receive_message_length", 4 * settings.service_max_batch * (MAX_ACCOUNT_ID_BYTES + 4)),
    ]
    if settings.service_max_connection_age_seconds is not None:
        options += [
            ("grpc.max_connection_age_ms", round(settings.service_max_connection_age_seconds * 1000)),
            ("grpc.max_connection_age_grace_ms", round(settings.lookup_timeout_seconds * 1000)),
        ]
    return options


class _Watch:
    """Looks every second at what can change beside the calls: the pointer, the callers file."""

    def __init__(self, reader: AsyncOfferReader, callers: Callers) -> None:
        self._reader = reader
        self._callers = callers
        self._has_complained = False
        self._is_warm = False
        self.health = health.aio.HealthServicer()
        self.pointer: Pointer | None = None
        self.servicer: LookupServicer | None = None

    async def keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            await self.look()

    async def look(self) -> None:
        try:
            if not self._is_warm:
                await self._reader.warm_up()
                self._is_warm = True
            pointer = await self._reader.pointer()
        except (LookupFailedError, NothingPublishedError) as error:
            self.pointer = None
            if not self._has_complained:
                _log.warning("not ready", cause=type(error).__name__)
                self._has_complained = True
        else:
            if self.pointer is None or self.pointer.generation_ms != pointer.generation_ms:
                _log.info("serving generation", generation_ms=pointer.generation_ms)
            self.pointer = pointer
            self._has_complained = False
        ready = health_pb2.HealthCheckResponse.SERVING
        status = ready if self.pointer is not None else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.health.set(SERVICE, status)
        try:
            if self._callers.reload_if_changed():
                _log.info("callers were read again")
        except CallersFileError as error:
            _log.error("callers stay as they were", cause=str(error))


def _telemetry(settings: Settings, watch: _Watch, reader: AsyncOfferReader) -> Telemetry:
    try:
        return Telemetry(
            settings,
            {
                "segue.calls.in_flight": (
                    "1",
                    "Calls being answered.",
                    lambda: 0 if watch.servicer is None else watch.servicer.in_flight,
                ),
                "segue.generation": (
                    "ms",
                    "The published generation that is served.",
                    lambda: None if watch.pointer is None else watch.pointer.generation_ms,
                ),
                "segue.generation.published": (
                    "s",
                    "When the served generation was published, in seconds since 1970.",
                    lambda: None if watch.pointer is None else watch.pointer.published_at.timestamp(),
                ),
                "segue.reads.hedged": (
                    "1",
                    "Reads sent a second time.",
                    lambda: reader.hedges_sent,
                ),
            },
        )
    except OSError as error:
        raise ServiceConfigurationError(
            f"cannot listen for Prometheus on {settings.service_metrics_address}: {error.strerror}"
        ) from error


def _listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError as error:
        raise ServiceConfigurationError(f"cannot listen on {address}: {error}") from error


def _refuse_open_doors(settings: Settings, *, secured: bool) -> None:
    """Beyond loopback, tokens must not travel in the clear and strangers must not be answered."""
    if settings.service_insecure or _is_loopback(settings.service_address):
        return
    missing = [
        name
        for name, there in (
            ("a certificate (service_certificate_file, service_key_file)", secured),
            ("callers (service_callers_file)", settings.service_callers_file is not None),
        )
        if not there
    ]
    if missing:
        raise ServiceConfigurationError(
            f"{settings.service_address} is not loopback: give the service {' and '.join(missing)}, "
            "or set service_insecure"
        )


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
