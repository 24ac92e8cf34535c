"""A load publishes exactly its day, whole, after verification; or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import grpc
import pyarrow as pa
import pytest

from loaders.bigtable import LoadCode, LoadError, LoadOutcome, list_generations, pointer
from loaders.bigtable.load import load_generation
from loaders.bigtable.table import ensure_table
from segue.settings import Settings
from serving import schema
from serving.client import OfferReader, Outcome
from serving.connection import open_table
from serving.pointer import read_pointer
from serving.row_key import row_key
from tests.bigtable_fixture import FaultyBigtable, account, offer, source

DAY_1, DAY_2, DAY_3 = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)
GENERATION_1 = 1_767_225_600_001


def outcomes(settings: Settings, *account_ids: str) -> list[str]:
    with OfferReader.open(settings) as reader:
        return [answer.outcome.value for answer in reader.lookup_many(account_ids)]


def offers_of(settings: Settings, account_id: str) -> list[str]:
    with OfferReader.open(settings) as reader:
        return [each.offer_id for each in reader.lookup(account_id).offers]


def states(settings: Settings) -> dict[int, str]:
    return {row.manifest.generation_ms: row.manifest.state.value for row in list_generations(settings)}


def cells(settings: Settings, account_id: str) -> list[tuple[int, bool]]:
    """(generation, is a tombstone) of every cell of an account, newest first."""
    with open_table(settings) as table:
        row = table.read_row(row_key(account_id))
        return [] if row is None else [(cell.timestamp_micros // 1000, not cell.value) for cell in row]


def test_a_first_load_publishes_every_account(bigtable_world: Settings) -> None:
    result = load_generation(
        bigtable_world, DAY_1, source(account("a", offer("x"), offer("y")), account("b"), batch_rows=1)
    )
    assert (result.outcome, result.generation_ms, result.attempt) == (
        LoadOutcome.PUBLISHED, GENERATION_1, 1,
    )  # fmt: skip
    assert (result.rows_in, result.rows_out, result.tombstoned, result.dead_lettered) == (2, 2, 0, 0)
    assert outcomes(bigtable_world, "a", "b", "c") == ["found", "found", "unknown"]
    assert offers_of(bigtable_world, "a") == ["x", "y"]
    assert states(bigtable_world) == {GENERATION_1: "published"}
    with open_table(bigtable_world) as table:
        current = read_pointer(table)
    assert current is not None
    assert (current.generation_ms, current.segment_date) == (GENERATION_1, DAY_1)


def test_an_account_that_is_gone_becomes_unknown_and_can_come_back(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a"), account("b")))
    gone = load_generation(bigtable_world, DAY_2, source(account("a")))
    assert (gone.rows_out, gone.tombstoned) == (1, 1)
    assert outcomes(bigtable_world, "a", "b") == ["found", "unknown"]
    back = load_generation(bigtable_world, DAY_3, source(account("b")))
    assert (back.rows_out, back.tombstoned) == (1, 1)
    assert outcomes(bigtable_world, "a", "b") == ["unknown", "found"]


def test_a_tombstone_is_written_once_and_removed_when_no_generation_needs_it(
    bigtable_world: Settings,
) -> None:
    first = load_generation(bigtable_world, DAY_1, source(account("a"), account("b")))
    loads = [load_generation(bigtable_world, DAY_2, source(account("a"))) for _ in range(2)]
    assert [load.tombstoned for load in loads] == [1, 0]
    assert cells(bigtable_world, "b") == [(loads[0].generation_ms, True), (first.generation_ms, False)]
    loads.append(load_generation(bigtable_world, DAY_2, source(account("a"))))
    assert cells(bigtable_world, "b") == []
    assert outcomes(bigtable_world, "a", "b") == ["found", "unknown"]


def test_the_same_day_again_is_the_next_attempt(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a", offer("old"))))
    again = load_generation(bigtable_world, DAY_1, source(account("a", offer("new"))))
    assert (again.generation_ms, again.attempt) == (GENERATION_1 + 1, 2)
    assert offers_of(bigtable_world, "a") == ["new"]


def test_an_older_day_never_displaces_a_newer_one_and_writes_nothing(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    newer = load_generation(settings, DAY_2, source(account("a")))
    before, known = proxy.mutations_seen, states(settings)
    older = load_generation(settings, DAY_1, source(account("b")))
    assert (older.outcome, older.generation_ms, older.rows_out) == (
        LoadOutcome.SUPERSEDED, newer.generation_ms, 0,
    )  # fmt: skip
    assert proxy.mutations_seen == before
    assert states(settings) == known
    assert outcomes(settings, "a", "b") == ["found", "unknown"]


def test_an_empty_day_is_refused_and_the_published_one_stays(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a")))
    with pytest.raises(LoadError) as caught:
        load_generation(bigtable_world, DAY_2, source())
    assert caught.value.code is LoadCode.EMPTY_PARTITION
    assert outcomes(bigtable_world, "a") == ["found"]


def test_an_over_long_id_is_refused_before_it_is_sent(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    with pytest.raises(LoadError, match="4097 bytes") as caught:
        load_generation(settings, DAY_1, source(account("a"), account("x" * 4_092)))
    assert caught.value.code is LoadCode.INVALID_ROW
    assert proxy.mutations_seen == 0


def test_an_account_listed_twice_is_not_published(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a", offer("before"))))
    twice = source(account("a", offer("one")), account("a", offer("other")))
    with pytest.raises(LoadError) as caught:
        load_generation(bigtable_world, DAY_2, twice)
    assert caught.value.code is LoadCode.NOT_VERIFIED
    assert (caught.value.counts["written"], caught.value.counts["found"]) == (2, 1)
    assert offers_of(bigtable_world, "a") == ["before"]


def test_a_payload_that_was_changed_on_the_way_is_not_published(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY_1, source(account("a", offer("before"))))
    proxy.corrupt = lambda value: value.replace(b"offer-1", b"offer-2")
    with pytest.raises(LoadError, match="checksum") as caught:
        load_generation(settings, DAY_2, source(account("a", offer("offer-1"))))
    assert caught.value.code is LoadCode.NOT_VERIFIED
    assert offers_of(settings, "a") == ["before"]


def dies_after(rows: int, *all_rows: dict[str, Any]) -> Any:
    def read(settings: Settings, day: date) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(source(*all_rows, batch_rows=1)(settings, day)):
            if number == rows:
                raise LoadError(LoadCode.SOURCE, "the stream broke")
            yield batch

    return read


def test_what_an_aborted_load_left_is_removed_by_the_next(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a")))
    rows = [account(f"stray-{number}") for number in range(2_500)]
    with pytest.raises(LoadError, match="the stream broke"):
        load_generation(bigtable_world, DAY_2, dies_after(2_400, *rows))
    assert cells(bigtable_world, "stray-0") != []
    assert outcomes(bigtable_world, "a", "stray-0") == ["found", "unknown"]
    result = load_generation(bigtable_world, DAY_2, source(account("a")))
    assert (result.attempt, result.rows_out, result.tombstoned) == (2, 1, 0)
    assert result.discarded >= 2_000
    assert cells(bigtable_world, "stray-0") == []
    assert list(states(bigtable_world).values()) == ["published", "discarded", "published"]


def test_a_load_that_is_overtaken_stops_and_leaves_nothing(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a")))

    def overtaken(settings: Settings, day: date) -> Iterator[pa.RecordBatch]:
        yield from source(account("a"), account("slow"))(settings, day)
        load_generation(settings, DAY_3, source(account("a"), account("fast")))
        yield from source(account("late"))(settings, day)

    with pytest.raises(LoadError) as caught:
        load_generation(bigtable_world, DAY_2, overtaken)
    assert caught.value.code is LoadCode.OVERTAKEN
    assert outcomes(bigtable_world, "a", "fast", "slow", "late") == ["found", "found", "unknown", "unknown"]
    assert cells(bigtable_world, "slow") == []


def test_only_the_load_that_holds_the_claim_publishes_and_only_upwards(bigtable_world: Settings) -> None:
    ensure_table(bigtable_world)
    with open_table(bigtable_world) as table:
        pointer.claim(table, 20)
        assert not pointer.publish(table, 10)
        assert not pointer.publish(table, 30)
        assert read_pointer(table) is None
        assert pointer.publish(table, 20)
        assert not pointer.publish(table, 20)
        pointer.claim(table, 10)
        assert not pointer.publish(table, 10)
        current = read_pointer(table)
    assert current is not None
    assert current.generation_ms == 20


def test_loads_of_one_day_at_the_same_time_publish_one_consistent_generation(
    bigtable_world: Settings,
) -> None:
    ends: list[str] = []

    def load(name: str) -> None:
        rows = [account(f"{name}-{number}", market=name) for number in range(3_000)]
        try:
            ends.append(load_generation(bigtable_world, DAY_1, source(*rows)).outcome.value)
        except LoadError as error:
            ends.append(error.code.value)

    ensure_table(bigtable_world)
    threads = [threading.Thread(target=load, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "published" in ends
    asked = [f"{name}-{number}" for number in range(0, 3_000, 7) for name in ("one", "two")]
    with OfferReader.open(bigtable_world) as reader:
        found = {
            answer.account.market
            for answer in reader.lookup_many(asked)
            if answer.outcome is Outcome.FOUND and answer.account is not None
        }
    assert len(found) == 1


def test_the_table_keeps_the_published_cell_whatever_its_age(bigtable_world: Settings) -> None:
    from loaders.bigtable.table import _admin_client

    ensure_table(bigtable_world)
    ensure_table(bigtable_world)
    client = _admin_client(bigtable_world)
    name = f"projects/{bigtable_world.project_id}/instances/segue/tables/offers"
    table = client.get_table(name=name)
    assert {family: rule.gc_rule.max_num_versions for family, rule in table.column_families.items()} == {
        "o": schema.RETAINED_GENERATIONS + 1,
        "p": 1,
        "m": 1,
    }


def test_a_refused_table_is_named_as_the_cause(bigtable_world: Settings) -> None:
    server = grpc.server(ThreadPoolExecutor(1))  # answers UNIMPLEMENTED to everything
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    nowhere = bigtable_world.model_copy(update={"bigtable_emulator_host": f"127.0.0.1:{port}"})
    with pytest.raises(LoadError, match="instances/segue/tables/offers") as caught:
        load_generation(nowhere, DAY_1, source(account("a")))
    server.stop(0).wait()
    assert caught.value.code is LoadCode.NO_TABLE
