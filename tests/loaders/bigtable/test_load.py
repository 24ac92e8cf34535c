"""A load publishes exactly its day, whole, after verification; or nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.cloud.bigtable.data import ReadRowsQuery, SetCell
from google.cloud.bigtable_v2.types import bigtable as messages

from loaders.bigtable import LoadCode, LoadError, LoadOutcome, list_generations, pointer, verify
from loaders.bigtable.begin import Begun, begin
from loaders.bigtable.connection import open_table
from loaders.bigtable.load import load_generation
from loaders.bigtable.manifest import LoadMode
from loaders.bigtable.pointer import read_pointer
from loaders.bigtable.publish import publish
from loaders.bigtable.scan import KeyRange, key_range
from loaders.bigtable.shard import load_shard
from loaders.bigtable.table import admin_client, ensure_table
from segue.settings import Settings
from segue_client.answer import Outcome
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import FIRST_ACCOUNT_KEY, row_key
from serving.configured import open_reader
from tests.bigtable_fixture import FaultyBigtable, MemorySource, account, offer, source

DAY_1, DAY_2, DAY_3 = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)
GENERATION_1 = 1_767_225_600_001


def outcomes(settings: Settings, *account_ids: str) -> list[str]:
    with open_reader(settings) as reader:
        return [answer.outcome.value for answer in reader.lookup_many(account_ids)]


def offers_of(settings: Settings, account_id: str) -> list[str]:
    with open_reader(settings) as reader:
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
    assert (result.written, result.unchanged) == (2, 0)
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
    loads = [load_generation(bigtable_world, DAY_2, source(account("a"))) for _ in range(3)]
    assert [(load.written, load.unchanged) for load in loads] == [(0, 1)] * 3
    assert [load.tombstoned for load in loads] == [1, 0, 0]
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


def test_a_day_without_offers_is_refused_and_the_published_one_stays(bigtable_world: Settings) -> None:
    first = load_generation(bigtable_world, DAY_1, source(account("a")))
    with pytest.raises(LoadError, match=f"generation {first.generation_ms} of 2026-01-01 stays") as caught:
        load_generation(bigtable_world, DAY_2, source())
    assert caught.value.code is LoadCode.EMPTY_PARTITION
    assert "--allow-empty" in str(caught.value.hint)
    assert caught.value.is_final
    assert outcomes(bigtable_world, "a") == ["found"]


def test_while_nothing_is_online_a_day_without_offers_is_nothing_to_load(bigtable_world: Settings) -> None:
    nothing = load_generation(bigtable_world, DAY_1, source())
    assert (nothing.outcome, nothing.generation_ms) == (LoadOutcome.NOBODY, None)
    assert "nobody has an offer" in nothing.summary()
    assert set(states(bigtable_world).values()) == {"discarded"}
    # The first offers are loaded as ever.
    load_generation(bigtable_world, DAY_2, source(account("a")))
    assert outcomes(bigtable_world, "a") == ["found"]


@pytest.mark.parametrize("mode", [LoadMode.DELTA, LoadMode.FULL])
def test_a_day_without_offers_that_is_asked_for_makes_every_account_unknown(
    bigtable_world: Settings, mode: LoadMode
) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a"), account("b")))
    empty = load_generation(bigtable_world, DAY_2, source(), mode, allow_empty=True)
    assert (empty.outcome, empty.rows_in, empty.tombstoned) == (LoadOutcome.PUBLISHED, 0, 2)
    assert outcomes(bigtable_world, "a", "b") == ["unknown", "unknown"]
    assert verify(bigtable_world, empty.generation_ms or 0).rows_out == 0
    # Nobody loses anything by another such day, so it need not be asked for again.
    assert load_generation(bigtable_world, DAY_3, source(), mode).outcome is LoadOutcome.PUBLISHED
    assert outcomes(bigtable_world, "a") == ["unknown"]


def test_a_row_over_a_limit_is_not_sent_but_kept_and_the_account_is_gone(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY_1, source(account("a"), account("b", offer("before"))))
    proxy.mutations_seen = 0
    rows = source(account("a"), account("b", offer(priority=2**31)), account("x" * 4_092))
    result = load_generation(settings, DAY_2, rows)
    assert (result.rows_in, result.rows_out, result.dead_lettered, result.tombstoned) == (3, 1, 2, 1)
    assert {(each.account_id[:1], each.code) for each in rows.refused[0]} == {
        ("b", "INVALID_ROW"),
        ("x", "KEY_TOO_LONG"),
    }
    assert proxy.mutations_seen == 1  # the tombstone
    assert outcomes(settings, "a", "b") == ["found", "unknown"]


def test_too_many_refused_rows_fail_the_shard_and_are_kept_all_the_same(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a")))
    rows = source(account("a"), *[account(f"b-{number}", suppressed_reason="") for number in range(11)])
    with pytest.raises(LoadError, match="11 of 12 rows refused, more than 10") as caught:
        load_generation(bigtable_world, DAY_2, rows)
    assert (caught.value.code, caught.value.counts) == (LoadCode.REFUSED, {"INVALID_ROW": 11})
    assert len(rows.refused[0]) == 11
    assert outcomes(bigtable_world, "a", "b-0") == ["found", "unknown"]


def test_only_what_changed_is_sent_and_an_account_may_keep_its_cell_for_many_generations(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    same = [account(f"same-{number}", offer("x")) for number in range(50)]
    load_generation(settings, DAY_1, source(*same, account("changes", offer("0"))))
    proxy.mutations_seen = 0
    for attempt in range(1, 7):
        rows = source(*same, account("changes", offer(str(attempt))))
        result = load_generation(settings, DAY_2, rows)
        assert (result.written, result.unchanged, result.rows_out) == (1, 50, 51)
    assert proxy.mutations_seen == 6
    assert outcomes(settings, "same-0", "same-49", "changes") == ["found"] * 3
    assert [generation for generation, _ in cells(settings, "same-7")] == [GENERATION_1]


def test_a_full_load_sends_every_row(faulty_bigtable: tuple[FaultyBigtable, Settings]) -> None:
    proxy, settings = faulty_bigtable
    rows = source(*[account(f"account-{number}") for number in range(50)])
    load_generation(settings, DAY_1, rows)
    proxy.mutations_seen = 0
    result = load_generation(settings, DAY_2, rows, LoadMode.FULL)
    assert (result.written, result.unchanged, proxy.mutations_seen) == (50, 0, 50)


def test_shards_are_loaded_in_any_order_and_published_only_when_all_are_there(
    bigtable_world: Settings,
) -> None:
    settings = bigtable_world.model_copy(update={"bigtable_rows_per_shard": 100})
    load_generation(settings, DAY_1, source(*[account(f"gone-{number}") for number in range(30)]))
    rows = source(*[account(f"account-{number}") for number in range(350)])
    begun = begin(settings, DAY_2, rows)
    assert isinstance(begun, Begun)
    assert list(begun.shards) == [0, 1, 2, 3]
    generation = begun.manifest.generation_ms
    done = [load_shard(settings, generation, shard, rows) for shard in (2, 0, 3)]
    with pytest.raises(LoadError, match=r"shards \[1\]") as caught:
        publish(settings, generation, rows)
    assert caught.value.code is LoadCode.INCOMPLETE
    assert outcomes(settings, "account-0", "gone-0") == ["unknown", "found"]
    done.append(load_shard(settings, generation, 1, rows))
    assert load_shard(settings, generation, 2, rows) == done[0]
    result = publish(settings, generation, rows)
    assert (sum(each.rows_in for each in done), result.rows_out, result.tombstoned) == (350, 350, 30)
    assert publish(settings, generation, rows).outcome is LoadOutcome.PUBLISHED
    assert outcomes(settings, "account-0", "gone-0") == ["found", "unknown"]
    verify(settings, generation)


def test_a_day_that_was_published_anew_meanwhile_is_left_to_the_next_load(bigtable_world: Settings) -> None:
    before, anew = source(account("a1", offer())), source(account("a1", offer("offer-2")))
    begun = begin(bigtable_world, date(2026, 1, 31), before)
    assert isinstance(begun, Begun)
    load_shard(bigtable_world, begun.manifest.generation_ms, 0, before)

    with pytest.raises(LoadError, match="published anew") as error:
        publish(bigtable_world, begun.manifest.generation_ms, anew)
    assert error.value.code is LoadCode.CHANGED

    loaded = load_generation(bigtable_world, date(2026, 1, 31), anew)
    assert loaded.outcome is LoadOutcome.PUBLISHED
    with open_reader(bigtable_world) as reader:
        assert [each.offer_id for each in reader.lookup("a1").offers] == ["offer-2"]


def test_the_shards_cover_every_key_once() -> None:
    for shards in (1, 3, 7, 1_000):
        ranges = [key_range(shard, shards) for shard in range(shards)]
        assert (ranges[0].first, ranges[-1].after) == (b"0000", b"g")
        assert [each.after for each in ranges[:-1]] == [each.first for each in ranges[1:]]


def test_a_load_that_did_not_end_in_time_is_given_up(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    settings = settings.model_copy(update={"bigtable_load_deadline_seconds": 1.0})
    proxy.fault = lambda _request, context: context.abort(grpc.StatusCode.UNAVAILABLE, "later")
    with pytest.raises(LoadError, match="before the deadline") as caught:
        load_generation(settings, DAY_1, source(account("a")))
    assert (caught.value.code, caught.value.counts) == (LoadCode.UNACKNOWLEDGED, {"UNAVAILABLE": 1})


def test_an_account_listed_twice_is_not_published(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a", offer("before"))))
    twice = source(account("a", offer("one")), account("a", offer("other")))
    with pytest.raises(LoadError, match="twice") as caught:
        load_generation(bigtable_world, DAY_2, twice)
    assert (caught.value.code, caught.value.counts) == (LoadCode.INVALID_ROW, {"rows": 2, "accounts": 1})
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


class Interrupted(MemorySource):
    """A source in whose stream something happens after so many batches; other days have other rows."""

    def __init__(self, after: int, happens: Callable[[], None], *rows: dict[str, Any]) -> None:
        super().__init__(rows)
        self._after, self._happens = after, happens

    def rows(self, name: str, accounts: KeyRange) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(super().rows(name, accounts)):
            if number == self._after:
                self._happens()
            yield batch


def the_stream_breaks() -> None:
    raise LoadError(LoadCode.SOURCE, "the stream broke")


def test_what_an_aborted_load_left_is_removed_by_the_next(
    bigtable_world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a")))
    monkeypatch.setattr("loaders.bigtable.shard.ROWS_PER_BATCH", 1_000)
    rows = [account(f"stray-{number}") for number in range(2_500)]
    with pytest.raises(LoadError, match="the stream broke"):
        load_generation(bigtable_world, DAY_2, Interrupted(2, the_stream_breaks, *rows))
    assert cells(bigtable_world, "stray-0") != []
    assert outcomes(bigtable_world, "a", "stray-0") == ["found", "unknown"]
    result = load_generation(bigtable_world, DAY_2, source(account("a")))
    assert (result.attempt, result.rows_out, result.tombstoned) == (2, 1, 0)
    assert result.discarded == 2_000
    assert cells(bigtable_world, "stray-0") == []
    assert list(states(bigtable_world).values()) == ["published", "discarded", "published"]


def test_each_shard_removes_what_dead_loads_left_among_its_own_accounts(
    bigtable_world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = bigtable_world.model_copy(update={"bigtable_rows_per_shard": 10})
    first = load_generation(settings, DAY_1, source(account("a"))).generation_ms
    stays = source(*[account(f"account-{number}") for number in range(20)])
    monkeypatch.setattr("loaders.bigtable.shard.ROWS_PER_BATCH", 1_000)
    with pytest.raises(LoadError, match="the stream broke"):
        load_generation(
            bigtable_world,
            DAY_2,
            Interrupted(1, the_stream_breaks, *[account(f"stray-{number}") for number in range(1_500)]),
        )
    strays = [row_key(f"stray-{number}") for number in range(1_000)]

    def left(shard: int) -> int:
        part = key_range(shard, 2)
        keys = [each for each in strays if part.first <= each < part.after]
        with open_table(settings) as table:
            return len(table.read_rows(ReadRowsQuery(row_keys=keys)))

    begun = begin(settings, DAY_2, stays)
    assert isinstance(begun, Begun)
    before = [left(0), left(1)]
    assert min(before) > 0
    assert list(states(settings).values()) == ["loading", "discarding", "published"]
    done = load_shard(settings, begun.manifest.generation_ms, 0, stays)
    assert (done.discarded, [left(0), left(1)]) == (before[0], [0, before[1]])
    load_shard(settings, begun.manifest.generation_ms, 1, stays)
    result = publish(settings, begun.manifest.generation_ms, stays)
    assert (result.discarded, left(1)) == (sum(before), 0)
    assert states(settings) == {
        result.generation_ms: "published", begun.manifest.discards[0]: "discarded", first: "published",
    }  # fmt: skip


def about_accounts(method: str, request: bytes) -> bool:
    if method != "ReadRows":
        return method == "MutateRows"
    rows = messages.ReadRowsRequest.meta.pb.FromString(request).rows
    starts = [max(each.start_key_closed, each.start_key_open) for each in rows.row_ranges]
    return any(key >= FIRST_ACCOUNT_KEY for key in [*rows.row_keys, *starts])


def test_once_the_pointer_has_moved_no_account_is_read_or_written(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY_1, source(account("a"), account("b")))
    for _ in range(4):
        proxy.calls.clear()
        load_generation(settings, DAY_2, source(account("a")))
        moved = max(
            place
            for place, (method, request) in enumerate(proxy.calls)
            if method == "CheckAndMutateRow" and schema.POINTER_ROW_KEY in request
        )
        assert any(about_accounts(*call) for call in proxy.calls[:moved])
        assert not any(about_accounts(*call) for call in proxy.calls[moved:])


def test_a_load_that_is_overtaken_stops_and_leaves_nothing(bigtable_world: Settings) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a")))

    def overtake() -> None:
        load_generation(bigtable_world, DAY_3, source(account("a"), account("fast")))

    slow = Interrupted(1, overtake, account("a"), *[account(f"slow-{number}") for number in range(1_500)])
    with pytest.raises(LoadError) as caught:
        load_generation(bigtable_world, DAY_2, slow)
    assert caught.value.code is LoadCode.OVERTAKEN
    assert outcomes(bigtable_world, "a", "fast", "slow-0", "slow-1499") == [
        "found", "found", "unknown", "unknown",
    ]  # fmt: skip
    assert cells(bigtable_world, "slow-0") == []


def test_the_last_request_of_a_load_that_was_overtaken_does_not_stop_the_one_that_overtook_it(
    bigtable_world: Settings,
) -> None:
    load_generation(bigtable_world, DAY_1, source(account("a")))

    def arrive_late() -> None:
        between = schema.generation_ms(DAY_1, 9)
        with open_table(bigtable_world) as table:
            stray = SetCell(
                schema.OFFERS_FAMILY, schema.OFFERS_QUALIFIER, b"stray", timestamp_micros=between * 1_000
            )
            table.mutate_row(row_key("a"), stray)

    result = load_generation(bigtable_world, DAY_2, Interrupted(0, arrive_late, account("a"), account("b")))
    assert (result.outcome, result.unchanged, result.written) == (LoadOutcome.PUBLISHED, 1, 1)
    assert outcomes(bigtable_world, "a", "b") == ["found", "found"]
    assert len(cells(bigtable_world, "a")) == 1


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
    with open_reader(bigtable_world) as reader:
        found = {
            answer.account.market
            for answer in reader.lookup_many(asked)
            if answer.outcome is Outcome.FOUND and answer.account is not None
        }
    assert len(found) == 1


def test_the_table_keeps_the_published_cell_whatever_its_age(bigtable_world: Settings) -> None:
    ensure_table(bigtable_world)
    ensure_table(bigtable_world)
    with admin_client(bigtable_world) as client:
        table = client.get_table(name=f"projects/{bigtable_world.project_id}/instances/segue/tables/offers")
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


def test_a_load_begins_by_the_clock_that_erasures_are_recorded_by(bigtable_world: Settings) -> None:
    """Whoever was erased since is left out; by a clock that is ahead nobody would be."""
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)

    class Elsewhere(MemorySource):
        def now(self) -> datetime:
            return moment

    begun = begin(bigtable_world, DAY_1, Elsewhere([account("a", offer())]))

    assert isinstance(begun, Begun)
    assert begun.manifest.started_at == moment
