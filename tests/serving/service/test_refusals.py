"""Whatever the service does not answer it refuses itself: with a status that says why, and counted."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2

from loaders.bigtable.load import load_generation
from segue.settings import Settings
from segue_client.wire.offers_pb2 import LookupRequest, LookupResponse
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from tests.bigtable_fixture import FaultyBigtable, account, source
from tests.serving.service.conftest import DAY, Served, served, serving_process
from tests.serving.service.test_service import SERVICE, health_of, status_of
from tests.tcp_proxy import TcpProxy

IN_FLIGHT = 4_000


def refused(service: Served, reason: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{service.running.metrics_port}/metrics").text
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("segue_calls_refused_total{") and f'reason="{reason}"' in line
    )


def test_of_thousands_of_calls_at_once_every_refusal_is_unavailable_and_counted(published: Settings) -> None:
    """gRPC itself would throw some away, from a thousand that wait on: CANCELLED, and nobody knows."""
    ended: Counter[tuple[str, bool]] = Counter()
    messages: set[str] = set()

    async def ask(address: str) -> None:
        # without the client's own retries, and on several connections, as from several callers
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(4)]
        stubs = [OfferLookupStub(each) for each in channels]  # type: ignore[no-untyped-call]

        async def one(number: int) -> None:
            try:
                await stubs[number % 4].Lookup(LookupRequest(account_id="found"), timeout=60)
                ended["OK", False] += 1
            except grpc.aio.AioRpcError as error:
                told = "grpc-retry-pushback-ms" in dict(error.trailing_metadata() or ())
                ended[error.code().name, told] += 1
                messages.add(error.details())

        await asyncio.gather(*(one(number) for number in range(IN_FLIGHT)))
        for each in channels:
            await each.close()

    with served(published, service_max_in_flight=2) as running:
        asyncio.run(ask(running.settings.service_address))
        assert ended.keys() == {("OK", False), ("UNAVAILABLE", True)}
        assert ended.total() == IN_FLIGHT
        assert messages == {"this replica answers 2 calls, the most that it does at a time"}
        assert refused(running, "overloaded") == ended["UNAVAILABLE", True]


def test_bytes_that_are_no_request_are_a_callers_mistake(published: Settings) -> None:
    with served(published) as running, grpc.insecure_channel(running.settings.service_address) as channel:
        for method in ("Lookup", "BatchLookup"):
            error = status_of(channel.unary_unary(f"/{SERVICE}/{method}"), b"\xff\xff\xff", timeout=5)
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert error.details() == f"3 bytes that are no {method}Request"
        lookup = channel.unary_unary(f"/{SERVICE}/Lookup", response_deserializer=LookupResponse.FromString)
        assert lookup(LookupRequest(account_id="found").SerializeToString()).account_id == "found"


def test_before_it_stops_it_says_so_and_answers_on_for_a_while(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    """A load balancer looks at the health now and then; who calls until it has looked is answered."""
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))
    with (
        serving_process(
            settings,
            SEGUE_SERVICE_DRAIN_WAIT_SECONDS="1.5",
            SEGUE_LOOKUP_TIMEOUT_SECONDS="10",
            SEGUE_POINTER_REFRESH_SECONDS="30",
        ) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        stub.Lookup(LookupRequest(account_id="found"), timeout=10)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert health_of(service.address, SERVICE) == health_pb2.HealthCheckResponse.NOT_SERVING
        assert stub.Lookup(LookupRequest(account_id="found"), timeout=10).account_id == "found"
        # then those in flight end, and others are sent elsewhere
        proxy.reads_to_delay = 1
        slow = stub.Lookup.future(LookupRequest(account_id="found"), timeout=20)
        time.sleep(1.5)
        error = status_of(stub.Lookup, LookupRequest(account_id="found"), timeout=5)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert error.details() == "this replica is about to stop"
        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "100"
        assert slow.result().account_id == "found"
        assert service.process.wait(timeout=20) == 0


def test_clients_connect_again_after_a_while_and_no_call_fails(published: Settings) -> None:
    with served(published, service_max_connection_age_seconds=0.5) as running:
        network = TcpProxy(running.settings.service_address)
        try:
            with grpc.insecure_channel(network.address) as channel:
                stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
                until = time.monotonic() + 2.5
                while time.monotonic() < until:
                    stub.Lookup(LookupRequest(account_id="found"), timeout=5)
            assert network.accepted > 1
        finally:
            network.close()


def test_it_is_ready_once_bigtable_has_prepared_for_it(
    faulty_bigtable: tuple[FaultyBigtable, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))
    cold = threading.Event()
    service = proxy.service

    def refuse_warming(details: Any) -> Any:
        if details.method.endswith("/PingAndWarm") and not cold.is_set():
            return None  # UNIMPLEMENTED
        return service(details)

    monkeypatch.setattr(proxy, "service", refuse_warming)
    proxy.calls.clear()
    with served(settings) as running:
        address = running.settings.service_address
        assert health_of(address, SERVICE) == health_pb2.HealthCheckResponse.NOT_SERVING
        cold.set()
        patience = time.monotonic() + 5
        while health_of(address, SERVICE) != health_pb2.HealthCheckResponse.SERVING:
            assert time.monotonic() < patience
            time.sleep(0.1)
    assert [method for method, _ in proxy.calls][:2] == ["PingAndWarm", "ReadRows"]
