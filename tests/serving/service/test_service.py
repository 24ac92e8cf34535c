"""The service as its callers see it: answers, statuses, limits, health, reflection, drain."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import app
from loaders.bigtable.load import load_generation
from loaders.bigtable.table import ensure_table
from segue.settings import Settings
from segue_client.answer import Outcome
from segue_client.errors import (
    InvalidRequestError,
    NotAuthenticatedError,
    NothingPublishedError,
    RateLimitedError,
)
from segue_client.remote import OfferServiceClient
from segue_client.wire.offers_pb2 import BatchLookupRequest, LookupRequest
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from serving.configured import open_reader, open_service_client
from serving.service.callers import CallerEntry, hash_token, write_callers
from serving.service.server import ServiceConfigurationError
from tests.bigtable_fixture import FaultyBigtable, account, source
from tests.pages import typed
from tests.serving.service.conftest import DAY, TOKENS, Served, served, serving_process

SERVICE = "segue.offers.v1.OfferLookup"


@pytest.fixture(scope="module")
def service(published: Settings) -> Iterator[Served]:
    with served(published) as running:
        yield running


def as_caller(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"service_token": SecretStr(TOKENS[name])})


def status_of(call: Any, *arguments: Any, **named: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **named)
    return caught.value


def health_of(address: str, service_name: str) -> int:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service_name)
        return int(stub.Check(request, timeout=5).status)


def test_the_service_and_the_library_give_the_same_four_answers(service: Served, published: Settings) -> None:
    asked = ["found", "nobody", "suppressed", "expired"]
    with open_service_client(service.settings) as remote, open_reader(published) as reader:
        answers = [remote.lookup(each) for each in asked]
        assert remote.lookup_many(asked) == answers
        assert [each.to_dict() for each in answers] == [reader.lookup(each).to_dict() for each in asked]
    assert [each.outcome.value for each in answers] == [*asked[:1], "unknown", *asked[2:]]


def test_an_offer_that_may_not_be_shown_does_not_leave_the_service(service: Served) -> None:
    with grpc.insecure_channel(service.settings.service_address) as channel:
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        answers = {
            name: stub.Lookup(LookupRequest(account_id=name), timeout=5)
            for name in ("found, one offer over", "suppressed", "expired")
        }
    assert [each.offer_id for each in answers["found, one offer over"].account.offers] == ["left"]
    assert answers["suppressed"].account.suppressed_reason == "CONSENT_WITHDRAWN"
    assert not answers["suppressed"].account.offers
    assert not answers["expired"].account.offers


def test_a_callers_mistake_is_invalid_argument(service: Served) -> None:
    with open_service_client(service.settings) as remote:
        with pytest.raises(InvalidRequestError, match="an empty account id"):
            remote.lookup("")
        with pytest.raises(InvalidRequestError, match="1,001 account ids in one batch"):
            remote.lookup_many(["found"] * 1_001)
        assert remote.lookup_many([]) == []


def test_many_lookups_at_once_share_reads_and_stay_apart(service: Served) -> None:
    asked = ["found", "nobody", "suppressed", "expired"] * 100
    with grpc.insecure_channel(service.settings.service_address) as channel:
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        calls = [stub.Lookup.future(LookupRequest(account_id=each), timeout=10) for each in asked]
        assert [call.result().account_id for call in calls] == asked


def test_nothing_published_is_not_ready_and_not_an_unknown_account(bigtable_world: Settings) -> None:
    ensure_table(bigtable_world)
    with served(bigtable_world) as running, open_service_client(running.settings) as remote:
        with pytest.raises(NothingPublishedError):
            remote.lookup("found")
        address = running.settings.service_address
        assert health_of(address, "") == health_pb2.HealthCheckResponse.SERVING
        assert health_of(address, SERVICE) == health_pb2.HealthCheckResponse.NOT_SERVING


def test_it_is_ready_when_a_generation_is_published(service: Served) -> None:
    assert health_of(service.settings.service_address, SERVICE) == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_the_service(service: Served) -> None:
    with grpc.insecure_channel(service.settings.service_address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert SERVICE in database.get_services()
        described = database.FindFileContainingSymbol(SERVICE)
    assert [method.name for method in described.service[0].method] == ["Lookup", "BatchLookup"]


def test_only_known_tokens_are_answered_and_health_needs_none(
    published: Settings, callers_file: Path
) -> None:
    with served(published, service_callers_file=callers_file) as running:
        address = running.settings.service_address
        with open_service_client(as_caller(running.settings, "checkout")) as remote:
            assert remote.lookup("found").outcome is Outcome.FOUND
        for token in (None, SecretStr("wrong")):
            stranger = running.settings.model_copy(update={"service_token": token})
            with open_service_client(stranger) as remote, pytest.raises(NotAuthenticatedError):
                remote.lookup("found")
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            assert status_of(database.get_services).code() is grpc.StatusCode.UNAUTHENTICATED
        assert health_of(address, SERVICE) == health_pb2.HealthCheckResponse.SERVING


def test_each_caller_has_its_own_limit_and_is_told_when_to_come_back(
    published: Settings, callers_file: Path
) -> None:
    with (
        served(published, service_callers_file=callers_file) as running,
        grpc.insecure_channel(running.settings.service_address, [("grpc.enable_retries", 0)]) as channel,
    ):
        home = (("authorization", f"Bearer {TOKENS['home']}"),)
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        assert stub.BatchLookup(BatchLookupRequest(account_ids=["a", "b", "c"]), metadata=home).answers

        def told(seconds: float | None) -> tuple[int, float]:
            error = status_of(stub.Lookup, LookupRequest(account_id="found"), metadata=home, timeout=seconds)
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            trailing = dict(error.trailing_metadata())
            status = Status.FromString(trailing["grpc-status-details-bin"])
            info, retry = ErrorInfo(), RetryInfo()
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(retry)
            assert (info.reason, info.domain) == ("RATE_LIMITED", SERVICE)
            return int(trailing["grpc-retry-pushback-ms"]), retry.retry_delay.ToMilliseconds() / 1000

        assert told(5) == (pytest.approx(750, abs=250), pytest.approx(0.75, abs=0.25))
        assert told(5) == (pytest.approx(1_750, abs=250), pytest.approx(1.75, abs=0.25))
        # whose deadline is sooner than its turn need not come back
        assert told(1) == (-1, pytest.approx(2.7, abs=0.3))
        assert told(None) == (pytest.approx(2_700, abs=300), pytest.approx(2.7, abs=0.3))
        with open_service_client(as_caller(running.settings, "checkout")) as checkout:
            assert len(checkout.lookup_many(["found"] * 1_000)) == 1_000


def test_twenty_calls_at_once_over_a_limit_of_five_a_second_are_all_answered(
    published: Settings, tmp_path: Path
) -> None:
    """By what gRPC does with the service config that is published; nobody here tries again."""
    callers = tmp_path / "callers.yml"
    write_callers(
        callers,
        [CallerEntry(name="home", token_sha256=hash_token(TOKENS["home"]), lookups_per_second=5)],
    )
    with served(published, service_callers_file=callers) as running:
        patient = as_caller(running.settings, "home").model_copy(update={"lookup_timeout_seconds": 10})
        started = time.monotonic()
        with open_service_client(patient) as home, ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(home.lookup, ["found"] * 20))
        assert [each.outcome for each in answers] == [Outcome.FOUND] * 20
        assert time.monotonic() - started > 2.9

        # one after the other they pass as well, at the pace of the limit
        with open_service_client(patient) as home:
            assert [home.lookup("found").outcome for _ in range(5)] == [Outcome.FOUND] * 5


def test_a_call_that_has_no_time_to_wait_for_its_turn_fails_at_once(
    published: Settings, callers_file: Path
) -> None:
    with served(published, service_callers_file=callers_file) as running:
        hasty = as_caller(running.settings, "home").model_copy(update={"lookup_timeout_seconds": 0.5})
        with open_service_client(hasty) as home:
            home.lookup_many(["found"] * 3)
            # were it to wait for its deadline, it would time out
            with pytest.raises(RateLimitedError) as raised:
                home.lookup("found")
        assert raised.value.retry_after_seconds is None


def test_a_changed_callers_file_is_followed_and_a_broken_one_is_not(
    published: Settings, callers_file: Path
) -> None:
    with (
        served(published, service_callers_file=callers_file) as running,
        open_service_client(as_caller(running.settings, "checkout")) as remote,
    ):
        remote.lookup("found")
        callers_file.write_text("callers: [{name: x")
        time.sleep(1.5)
        remote.lookup("found")
        callers_file.write_text("callers: []\n")
        assert _is_turned_away(remote, within_seconds=10)


def _is_turned_away(remote: OfferServiceClient, within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            remote.lookup("found")
        except NotAuthenticatedError:
            return True
        time.sleep(0.05)
    return False


def test_calls_beyond_what_it_can_hold_are_refused_at_once(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))
    with (
        served(settings, service_max_in_flight=2, lookup_timeout_seconds=20) as running,
        grpc.insecure_channel(running.settings.service_address) as channel,
    ):
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        proxy.reads_to_delay = 2
        slow = [stub.Lookup.future(LookupRequest(account_id="found"), timeout=20) for _ in range(2)]
        time.sleep(0.5)
        started = time.monotonic()
        error = status_of(stub.Lookup, LookupRequest(account_id="found"), timeout=20)
        assert time.monotonic() - started < FaultyBigtable.DELAY_SECONDS / 2
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "grpc-retry-pushback-ms" in dict(error.trailing_metadata())
        assert [call.result().account_id for call in slow] == ["found"] * 2


def test_a_callers_deadline_ends_the_call_not_the_service(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))
    with (
        served(settings, lookup_timeout_seconds=20) as running,
        grpc.insecure_channel(running.settings.service_address) as channel,
    ):
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        proxy.reads_to_delay = 1
        error = status_of(stub.Lookup, LookupRequest(account_id="found"), timeout=0.2)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert stub.Lookup(LookupRequest(account_id="found"), timeout=20).account_id == "found"


def test_a_silent_store_is_deadline_exceeded_also_without_a_callers_deadline(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))
    with (
        served(settings, lookup_timeout_seconds=0.3) as running,
        grpc.insecure_channel(running.settings.service_address) as channel,
    ):
        proxy.reads_to_delay = 1
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        error = status_of(stub.BatchLookup, BatchLookupRequest(account_ids=["found"]))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_beyond_loopback_it_wants_tls_and_callers(published: Settings, callers_file: Path) -> None:
    open_to_all = {"service_address": "0.0.0.0:0"}
    with (
        pytest.raises(ServiceConfigurationError, match=r"certificate .* and callers"),
        served(published, **open_to_all),
    ):
        pass
    with (
        pytest.raises(ServiceConfigurationError, match="give the service a certificate"),
        served(published, service_callers_file=callers_file, **open_to_all),
    ):
        pass
    with served(published, service_insecure=True, **open_to_all) as running:
        assert running.running.port > 0


def test_a_port_that_is_taken_is_said(service: Served, published: Settings) -> None:
    with (
        pytest.raises(ServiceConfigurationError, match="cannot listen on"),
        served(published, service_address=service.settings.service_address),
    ):
        pass


def test_metrics_tell_outcomes_statuses_and_the_generation_and_no_account(
    published: Settings, callers_file: Path
) -> None:
    with served(published, service_callers_file=callers_file) as running:
        with open_service_client(as_caller(running.settings, "checkout")) as remote:
            remote.lookup("found")
            remote.lookup_many(["found", "suppressed", "secret-account"])
            with pytest.raises(InvalidRequestError):
                remote.lookup("")
        with open_service_client(running.settings) as stranger, pytest.raises(NotAuthenticatedError):
            stranger.lookup("found")
        text = httpx.get(f"http://127.0.0.1:{running.running.metrics_port}/metrics").text

    def value(name: str, **labels: str) -> float:
        [line] = [
            line
            for line in text.splitlines()
            if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items())
        ]
        return float(line.rpartition(" ")[2])

    assert value("segue_lookups_total", outcome="found", caller="checkout") == 2
    assert value("segue_lookups_total", outcome="suppressed", caller="checkout") == 1
    assert value("segue_lookups_total", outcome="unknown", caller="checkout") == 1
    assert value("segue_calls_refused_total", reason="unauthenticated") == 1
    durations = "rpc_server_call_duration_seconds_count"
    assert value(durations, rpc_method="Lookup", rpc_response_status_code="OK") == 1
    assert value(durations, rpc_method="Lookup", rpc_response_status_code="INVALID_ARGUMENT") == 1
    assert value(durations, rpc_method="BatchLookup", rpc_response_status_code="OK") == 1
    assert value("segue_generation_milliseconds") == 1_769_817_600_001
    assert value("segue_calls_in_flight") == 0
    assert "secret-account" not in text
    assert "token-of" not in text


def test_the_command_serves_logs_json_and_drains_on_sigterm(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("secret-account")))
    with serving_process(settings, SEGUE_LOOKUP_TIMEOUT_SECONDS="20") as service:
        with grpc.insecure_channel(service.address) as channel:
            stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
            stub.Lookup(LookupRequest(account_id="secret-account"), timeout=10)
            status_of(stub.Lookup, LookupRequest(account_id="secret-account" * 1000), timeout=10)
            proxy.reads_to_delay = 1
            slow = stub.Lookup.future(LookupRequest(account_id="secret-account"), timeout=20)
            time.sleep(0.5)
            service.process.send_signal(signal.SIGTERM)
            assert slow.result().account_id == "secret-account"
        assert service.process.wait(timeout=20) == 0
        log = service.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    events = [line["event"] for line in lines]
    assert events[-2:] == ["service is draining", "service has stopped"]
    assert "lookup failed" in events
    assert "secret-account" not in log


def test_segue_lookup_asks_the_service_and_has_the_same_exit_codes(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segue.settings.get_settings", lambda: service.settings)
    runner = CliRunner()
    results = {
        name: runner.invoke(
            app, [*typed("docs/runbook.md", "segue lookup ACCOUNT --service", {"ACCOUNT": name}), "--json"]
        )
        for name in ("found", "nobody", "suppressed", "expired")
    }
    shown = typed("docs/demo.md", "segue lookup a000001484 --service --json", {"a000001484": "found"})
    assert runner.invoke(app, shown).stdout == results["found"].stdout
    assert [result.exit_code for result in results.values()] == [0, 3, 4, 5]
    assert json.loads(results["found"].stdout)["offers"][0]["offer_id"] == "first"


def test_two_services_in_one_process_do_not_share_anything(published: Settings) -> None:
    counts = []
    with served(published) as one, served(published) as other:
        with open_service_client(one.settings) as remote:
            remote.lookup("found")
        for each in (one, other):
            text = httpx.get(f"http://127.0.0.1:{each.running.metrics_port}/metrics").text
            counts.append("segue_lookups_total{" in text)
    assert counts == [True, False]
