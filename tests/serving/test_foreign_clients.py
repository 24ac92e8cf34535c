"""The contract is not private to our Python: Node programs read the table and ask the service."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from loaders.bigtable import rollback
from loaders.bigtable.load import load_generation
from segue.settings import PROJECT_ROOT, Settings
from segue_client.decision_id import decision_id
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer, source
from tests.serving.conftest import SCRIPTS, RunNode
from tests.serving.service.conftest import served

DAYS = [date(2026, 1, 30), date(2026, 1, 31)]
ASKED = ["räksmörgås", "stays", "gone", "nobody"]


@pytest.fixture
def two_generations(bigtable_world: Settings) -> Settings:
    """``gone`` is a tombstone in the second generation."""
    kept = [
        account("räksmörgås", offer("first"), offer("second", score=None)),
        account("stays", held_back=[offer("kept from it", is_control=True)]),
    ]
    load_generation(bigtable_world, DAYS[0], source(*kept, account("gone", offer("old"))))
    load_generation(bigtable_world, DAYS[1], source(*kept))
    return bigtable_world


def read_table(run_node: RunNode, settings: Settings) -> dict[str, object]:
    arguments = (settings.project_id, settings.bigtable_instance, settings.bigtable_table)
    host = settings.bigtable_emulator_host or ""
    found: dict[str, object] = run_node("table.js", *arguments, *ASKED, BIGTABLE_EMULATOR_HOST=host)
    return found


def test_googles_node_client_reads_what_the_loader_wrote(
    run_node: RunNode, two_generations: Settings
) -> None:
    found = read_table(run_node, two_generations)
    with open_reader(two_generations) as reader:
        ours = {answer.account_id: answer for answer in reader.lookup_many(ASKED)}
    assert found["generation"] == str(ours["stays"].generation_ms)
    theirs = {answer["accountId"]: answer for answer in found["answers"]}  # type: ignore[attr-defined]
    assert [name for name in ASKED if theirs[name]["account"]] == ["räksmörgås", "stays"]
    for name in ("räksmörgås", "stays"):
        stored = ours[name].account
        assert stored is not None
        assert theirs[name]["payloadHex"] == stored.SerializeToString(deterministic=True).hex()
        assert [each["offerId"] for each in theirs[name]["account"]["offers"]] == [
            each.offer_id for each in stored.offers
        ]
        assert theirs[name]["decisionIds"] == [each.decision_id for each in ours[name].offers]


def test_googles_node_client_follows_a_rollback(run_node: RunNode, two_generations: Settings) -> None:
    with open_reader(two_generations) as reader:
        newest = reader.pointer().generation_ms
    rollback(two_generations, newest - 86_400_000)
    found = read_table(run_node, two_generations)
    known = [answer["accountId"] for answer in found["answers"] if answer["account"]]  # type: ignore[attr-defined]
    assert known == ["räksmörgås", "stays", "gone"]


def test_grpc_js_asks_the_service(run_node: RunNode, two_generations: Settings) -> None:
    with served(two_generations) as running:
        answers = run_node("service.js", running.settings.service_address, "", *ASKED)
    assert answers["points"] == answers["batch"]
    assert [answer["outcome"] for answer in answers["points"]] == [
        "LOOKUP_OUTCOME_FOUND",
        "LOOKUP_OUTCOME_FOUND",
        "LOOKUP_OUTCOME_UNKNOWN_ACCOUNT",
        "LOOKUP_OUTCOME_UNKNOWN_ACCOUNT",
    ]
    shown, noted = answers["points"][0]["account"], answers["points"][1]["account"]
    assert [each["offer_id"] for each in noted["held_back"]] == ["kept from it"]
    assert noted["offers"] == []
    first, second = shown["offers"]
    assert first["decision_id"] == decision_id(
        "räksmörgås", int(answers["points"][0]["generation_ms"]), first["rule_id"]
    )
    assert (first["offer_id"], first["score"], second["offer_id"]) == ("first", 0.5, "second")
    until = datetime.fromtimestamp(int(first["valid_until_ms"]) / 1000, UTC)
    assert until == datetime(2200, 1, 1, tzinfo=UTC)


def test_grpc_js_without_a_token_is_told_so(
    run_node: RunNode, two_generations: Settings, tmp_path: Path
) -> None:
    callers = tmp_path / "callers.yml"
    callers.write_text("callers: []\n")
    with served(two_generations, service_callers_file=callers) as running:
        answer = run_node("service.js", running.settings.service_address, "wrong", "stays")
    assert answer == {"status": "UNAUTHENTICATED", "details": "no known bearer token"}


def test_another_language_makes_the_golden_bytes(run_node: RunNode) -> None:
    vectors = json.loads((PROJECT_ROOT / "clients/golden/payloads.json").read_text(encoding="utf-8"))
    assert run_node("golden.js") == {
        "payloads": len(vectors), "wrongKeys": [], "wrongDecisions": [], "wrongPayloads": [],
    }  # fmt: skip


def test_the_lock_file_names_the_public_registry_only() -> None:
    packages = json.loads((SCRIPTS / "package-lock.json").read_text())["packages"]
    addresses = [package["resolved"] for package in packages.values() if "resolved" in package]
    assert len(addresses) > 100
    assert all(address.startswith("https://registry.npmjs.org/") for address in addresses)
