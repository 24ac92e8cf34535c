"""A load into Bigtable that fails: what its code's entry says brings the day online."""

from __future__ import annotations

import json
import threading
from datetime import date
from typing import Any

import grpc
import pytest
from google.cloud.bigtable.data import SetCell

from loaders.bigtable import LoadOutcome, rollback
from loaders.bigtable.begin import Begun, begin
from loaders.bigtable.connection import open_table
from loaders.bigtable.load import load_generation
from loaders.bigtable.manifest import LoadMode
from loaders.bigtable.publish import publish
from loaders.bigtable.shard import load_shard
from loaders.bigtable.source import SegmentSource
from segue.settings import Settings
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import row_key
from tests.bigtable_fixture import FaultyBigtable, account, offer, source
from tests.runbook.steps import failing, says, segue, step

DAY_1, DAY_2, DAY_3 = (date(2026, 1, day) for day in (1, 2, 3))
LIST, VERIFY, ROLLBACK = (
    "segue generations list", "segue generations verify G", "segue generations rollback G",
)  # fmt: skip
Faulty = tuple[FaultyBigtable, Settings]


@pytest.fixture(autouse=True)
def _readers_refresh_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # a load after a rollback waits this long for readers that have not looked at the pointer
    monkeypatch.setattr(schema, "MAX_POINTER_STALENESS_SECONDS", 0.2)


def load(settings: Settings, day: date, *names: str) -> int:
    """A load as it should be; returns its generation."""
    result = load_generation(settings, day, source(*(account(name, offer(f"of-{day}")) for name in names)))
    assert result.generation_ms is not None
    return result.generation_ms


def begun(settings: Settings, day: date, rows: SegmentSource) -> int:
    taken = begin(settings, day, rows)
    assert isinstance(taken, Begun)
    return taken.manifest.generation_ms


def online(settings: Settings, code: str) -> dict[str, Any]:
    """What readers see, as the entry of ``code`` has it listed."""
    listed = json.loads(segue(settings, [*step(code, LIST), "--json"]))
    [published] = [each for each in listed if each["is_published"]]
    return dict(published)


def damage(settings: Settings, generation: int, account_id: str) -> None:
    """Somebody else writes into the table."""
    cell = SetCell(
        schema.OFFERS_FAMILY, schema.OFFERS_QUALIFIER, b"\xff\xff", timestamp_micros=generation * 1_000
    )
    with open_table(settings) as table:
        table.mutate_row(row_key(account_id), cell)


def test_no_table_in_an_instance_that_is_not_the_loads(bigtable_world: Settings) -> None:
    generation = load(bigtable_world, DAY_1, "a")
    mistyped = bigtable_world.model_copy(update={"bigtable_instance": "seque"})

    with failing("no_table"):
        segue(mistyped, step("no_table", LIST))

    says("no_table", "Look at `SEGUE_BIGTABLE_INSTANCE` and `SEGUE_PROJECT_ID`")
    assert online(bigtable_world, "no_table")["generation_ms"] == generation


def test_no_table_for_an_identity_without_its_role(
    faulty_bigtable: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, settings = faulty_bigtable
    granted, service = threading.Event(), proxy.service

    def of_administrators(details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        if ".admin." in details.method and not granted.is_set():
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.PERMISSION_DENIED, "bigtable.tables.create")
            )
        return service(details)

    monkeypatch.setattr(proxy, "service", of_administrators)
    with failing("no_table"):
        begin(settings, DAY_1, source(account("a")))

    says("no_table", "Give the identity its roles")
    granted.set()
    says("no_table", "Clear `begin` with the tasks after it")
    generation = load(settings, DAY_1, "a")
    assert online(settings, "no_table")["generation_ms"] == generation


def test_empty_partition_that_was_a_mistake(bigtable_world: Settings) -> None:
    load(bigtable_world, DAY_1, "a")
    with failing("empty_partition"):
        begin(bigtable_world, DAY_2, source())

    says("empty_partition", "run the day again")
    load(bigtable_world, DAY_2, "a")
    assert online(bigtable_world, "empty_partition")["segment_date"] == str(DAY_2)


def test_empty_partition_that_is_meant(bigtable_world: Settings) -> None:
    load(bigtable_world, DAY_1, "a")
    with failing("empty_partition"):
        begin(bigtable_world, DAY_2, source())

    says("empty_partition", "`segment_date` and `allow_empty`")
    load_generation(bigtable_world, DAY_2, source(), allow_empty=True)
    shown = online(bigtable_world, "empty_partition")
    assert (shown["segment_date"], shown["rows_out"], shown["tombstoned"]) == (str(DAY_2), 0, 1)


def test_changed(bigtable_world: Settings) -> None:
    before, anew = source(account("a", offer("before"))), source(account("a", offer("anew")))
    generation = begun(bigtable_world, DAY_1, before)
    load_shard(bigtable_world, generation, 0, before)
    with failing("changed"):
        publish(bigtable_world, generation, anew)

    says("changed", "Wait for the next run of `offer_segments`")
    loaded = load_generation(bigtable_world, DAY_1, anew)
    assert online(bigtable_world, "changed")["generation_ms"] == loaded.generation_ms


def test_refused_for_want_of_a_role(faulty_bigtable: Faulty) -> None:
    proxy, settings = faulty_bigtable
    rows = source(account("a"), account("b"))
    generation = begun(settings, DAY_1, rows)
    proxy.fault = lambda _, context: context.abort(grpc.StatusCode.PERMISSION_DENIED, "bigtable.tables.write")
    with failing("refused"):
        load_shard(settings, generation, 0, rows)

    says("refused", "*PERMISSION_DENIED* or *NOT_FOUND*: give the identity its roles")
    proxy.fault = lambda _request, _context: None
    says("refused", "Clear the shard")
    load_shard(settings, generation, 0, rows)
    assert publish(settings, generation, rows).outcome is LoadOutcome.PUBLISHED
    segue(settings, step("refused", VERIFY, {"G": generation}))


def test_unacknowledged(faulty_bigtable: Faulty) -> None:
    proxy, settings = faulty_bigtable
    hasty = settings.model_copy(update={"bigtable_load_deadline_seconds": 0.5})
    rows = source(account("a"))
    generation = begun(hasty, DAY_1, rows)
    proxy.fault = lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "overloaded")
    with failing("unacknowledged"):
        load_shard(hasty, generation, 0, rows)

    says("unacknowledged", "If it is overloaded, add nodes or wait")
    proxy.fault = lambda _request, _context: None
    says("unacknowledged", "When the load's deadline has passed, clear `begin` with the tasks after it")
    assert load_generation(settings, DAY_1, rows).generation_ms == generation


def test_overtaken_by_a_newer_day(bigtable_world: Settings) -> None:
    mine = source(account("a"))
    generation = begun(bigtable_world, DAY_2, mine)
    newer = source(account("a", offer("newer")))
    others = begun(bigtable_world, DAY_3, newer)
    with failing("overtaken"):
        load_shard(bigtable_world, generation, 0, mine)

    says("overtaken", "Let the other one finish")
    load_shard(bigtable_world, others, 0, newer)
    publish(bigtable_world, others, newer)
    assert online(bigtable_world, "overtaken")["segment_date"] == str(DAY_3)


def test_overtaken_by_an_older_day(bigtable_world: Settings) -> None:
    mine = source(account("a", offer("mine")))
    generation = begun(bigtable_world, DAY_3, mine)
    load(bigtable_world, DAY_2, "a")
    with failing("overtaken"):
        load_shard(bigtable_world, generation, 0, mine)
    assert online(bigtable_world, "overtaken")["segment_date"] == str(DAY_2)

    says("overtaken", "If yours is the newer day, clear `begin` with the tasks after it")
    load_generation(bigtable_world, DAY_3, mine)
    assert online(bigtable_world, "overtaken")["segment_date"] == str(DAY_3)


def test_incomplete(bigtable_world: Settings) -> None:
    settings = bigtable_world.model_copy(update={"bigtable_rows_per_shard": 10})
    rows = source(*(account(f"account-{number}") for number in range(20)))
    generation = begun(settings, DAY_1, rows)
    load_shard(settings, generation, 0, rows)
    with failing("incomplete"):
        publish(settings, generation, rows)

    says("incomplete", "Clear the shard that the message names, then `publish`")
    load_shard(settings, generation, 1, rows)
    assert publish(settings, generation, rows).rows_out == 20


def test_not_verified_while_it_is_loaded(faulty_bigtable: Faulty) -> None:
    proxy, settings = faulty_bigtable
    rows = source(account("a", offer("offer-1")))
    generation = begun(settings, DAY_1, rows)
    proxy.corrupt = lambda value: value.replace(b"offer-1", b"offer-2")
    with failing("not_verified"):
        load_shard(settings, generation, 0, rows)

    proxy.corrupt = lambda value: value
    says("not_verified", "While it was loading: clear `begin` with the tasks after it")
    loaded = load_generation(settings, DAY_1, rows)
    assert loaded.generation_ms is not None
    segue(settings, step("not_verified", VERIFY, {"G": loaded.generation_ms}))


def test_not_verified_once_it_is_online(bigtable_world: Settings) -> None:
    good, bad = load(bigtable_world, DAY_1, "a"), load(bigtable_world, DAY_2, "a", "b")
    damage(bigtable_world, bad, "a")

    def verify(generation: int) -> None:
        segue(bigtable_world, step("not_verified", VERIFY, {"G": generation}))

    with failing("not_verified"):
        verify(bad)

    verify(good)
    segue(bigtable_world, step("not_verified", ROLLBACK, {"G": good}))
    says("not_verified", "trigger `offer_segments` with `segment_date` and `mode` `full`")
    rows = source(account("a", offer()), account("b", offer()))
    again = load_generation(bigtable_world, DAY_2, rows, LoadMode.FULL)
    assert again.generation_ms is not None
    verify(again.generation_ms)


def test_not_retained(bigtable_world: Settings) -> None:
    first, *_, last = (load(bigtable_world, date(2026, 1, day), "a") for day in range(1, 6))

    def go_back(generation: int) -> None:
        segue(bigtable_world, step("not_retained", ROLLBACK, {"G": generation}))

    with failing("not_retained"):
        go_back(first)

    listed = json.loads(segue(bigtable_world, [*step("not_retained", LIST), "--json"]))
    kept = [each["generation_ms"] for each in listed if each["is_retained"] and not each["is_published"]]
    says("not_retained", "Choose one that is `kept`")
    go_back(kept[0])
    assert online(bigtable_world, "not_retained")["generation_ms"] == kept[0] < last


def test_moved(faulty_bigtable: Faulty, bigtable_world: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A colleague rolls back in the moment between our look at the pointer and our write of it."""
    proxy, settings = faulty_bigtable
    first, second, _ = (load(bigtable_world, day, "a") for day in (DAY_1, DAY_2, DAY_3))
    service, theirs = proxy.service, []

    def race(details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        if details.method.endswith("/CheckAndMutateRow") and not theirs:
            theirs.append(rollback(bigtable_world, second).generation_ms)
        return service(details)

    monkeypatch.setattr(proxy, "service", race)

    def go_back() -> None:
        segue(settings, step("moved", ROLLBACK, {"G": first}))

    with failing("moved"):
        go_back()

    assert online(settings, "moved")["generation_ms"] == second
    says("moved", "Decide again")
    go_back()
    assert online(settings, "moved")["generation_ms"] == first
