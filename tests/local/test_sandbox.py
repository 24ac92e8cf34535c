"""The sandbox answers as it says, through what production runs, and cannot be mistaken for production."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from cli import app
from local.sandbox.accounts import NotAnEmulatorError, load_sandbox_accounts, sandbox_accounts
from local.sandbox.service import PROJECT_ID
from segue.settings import Settings
from segue_client.answer import Outcome
from segue_client.wire.offers_pb2 import BatchLookupRequest, LookupRequest, LookupResponse
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from serving.configured import open_reader
from serving.service.servicer import WIRE_OUTCOMES
from tests.pages import typed
from tests.sandbox_fixture import Sandbox

BEARER = (("authorization", "Bearer test-token"),)
ANSWERED = [each for each in sandbox_accounts() if each.outcome is not None]
REFUSED = [each for each in sandbox_accounts() if each.status is not None]


@pytest.fixture(scope="module")
def stub(sandbox: Sandbox) -> Iterator[Any]:
    """Without the client's own retries, which would hide what the service says."""
    with grpc.insecure_channel(sandbox.address, [("grpc.enable_retries", 0)]) as channel:
        yield OfferLookupStub(channel)  # type: ignore[no-untyped-call]


def look_up(stub: Any, account_id: str, seconds: float = 5) -> LookupResponse:
    return stub.Lookup(LookupRequest(account_id=account_id), metadata=BEARER, timeout=seconds)


def status_of(stub: Any, account_id: str, **call: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Lookup(LookupRequest(account_id=account_id), **({"metadata": BEARER, "timeout": 5} | call))
    return str(caught.value.code().name)


def test_there_is_an_account_for_every_outcome_and_for_each_way_to_hold_back() -> None:
    assert {each.outcome for each in ANSWERED} == set(Outcome)
    stored = {each.account_id: each.stored or {} for each in ANSWERED}
    assert not stored["test-held-back"]["offers"]
    assert stored["test-held-back"]["held_back"]
    assert stored["test-partly-held-back"]["offers"]
    assert stored["test-partly-held-back"]["held_back"]


@pytest.mark.parametrize("declared", ANSWERED, ids=lambda each: each.account_id)
def test_an_account_gets_the_answer_that_it_is_declared_with(stub: Any, declared: Any) -> None:
    if declared.fails_every_second_call:
        assert status_of(stub, declared.account_id) == "UNAVAILABLE"
    found = look_up(stub, declared.account_id)

    assert found.outcome == WIRE_OUTCOMES[declared.outcome]
    usable = declared.stored if declared.outcome is Outcome.FOUND else {"offers": [], "held_back": []}
    for shown, kept in (
        (found.account.offers, usable["offers"]),
        (found.account.held_back, usable["held_back"]),
    ):
        assert [each.offer_id for each in shown] == [
            each["offer_id"] for each in kept if each["valid_until_at"] > "2026"
        ]


@pytest.mark.parametrize("declared", REFUSED, ids=lambda each: each.account_id)
def test_an_account_that_stands_for_a_status_gets_it(stub: Any, declared: Any) -> None:
    assert status_of(stub, declared.account_id) == declared.status


def test_the_rest_of_the_statuses_are_in_reach(stub: Any) -> None:
    assert status_of(stub, "") == "INVALID_ARGUMENT"
    assert status_of(stub, "test-found", metadata=()) == "UNAUTHENTICATED"
    assert status_of(stub, "test-slow", timeout=0.2) == "DEADLINE_EXCEEDED"
    many = BatchLookupRequest(account_ids=["test-found"] * 6)
    limited = (("authorization", "Bearer test-token-5-per-second"),)
    stub.BatchLookup(many, metadata=limited, timeout=5)
    assert status_of(stub, "test-found", metadata=limited) == "RESOURCE_EXHAUSTED"


def test_every_sandbox_names_the_same_decisions(stub: Any) -> None:
    answer = look_up(stub, "test-found")
    assert answer.generation_ms == 1_769_817_600_001
    assert answer.account.offers[0].decision_id == "30bcbb4e3f2161ed85277667c39c4a59"


def test_a_slow_account_is_found_a_second_later(stub: Any) -> None:
    began = time.monotonic()
    assert look_up(stub, "test-slow").outcome == WIRE_OUTCOMES[Outcome.FOUND]
    assert time.monotonic() - began > 1


def test_the_command_and_the_environment_cannot_take_it_beyond_loopback(sandbox: Sandbox) -> None:
    assert sandbox.address.startswith("127.0.0.1:")


def test_test_accounts_are_never_written_into_a_real_bigtable(sandbox: Sandbox) -> None:
    real = Settings(_env_file=None, project_id=PROJECT_ID, bigtable_emulator_host=None)
    with pytest.raises(NotAnEmulatorError):
        load_sandbox_accounts(real)

    # The sandbox, which was started in an environment that names a real project, has an emulator of its own.
    emulated = real.model_copy(update={"bigtable_emulator_host": sandbox.bigtable_emulator_host})
    with open_reader(emulated) as reader:
        assert reader.lookup("test-found").outcome is Outcome.FOUND


def test_the_command_lists_the_accounts_without_starting_anything() -> None:
    listed = CliRunner().invoke(app, ["sandbox", "--list"])
    assert listed.exit_code == 0
    assert all(each.account_id in listed.stdout for each in sandbox_accounts())


def test_a_port_that_is_taken_is_said_before_anything_is_started(sandbox: Sandbox) -> None:
    port = sandbox.address.rpartition(":")[2]
    command = typed("docs/serving.md", "segue sandbox --port 9000", {"9000": port})
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert f"port {port} is taken: choose another with --port" in refused.stderr
