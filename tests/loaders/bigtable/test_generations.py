"""Going back is one write; readers see one whole generation at any instant."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from loaders.bigtable import (
    LoadCode,
    LoadError,
    LoadOutcome,
    list_generations,
    pointer,
    rollback,
    verify,
)
from loaders.bigtable.begin import Begun, begin
from loaders.bigtable.connection import open_table
from loaders.bigtable.load import load_generation
from loaders.bigtable.mutations import set_offers
from loaders.bigtable.shard import load_shard
from loaders.bigtable.writer import Entries, RowWriter
from segue.settings import Settings
from segue_client.answer import Outcome
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import row_key
from segue_client.wire.offers_pb2 import AccountOffers
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer, source

DAYS = [date(2026, 1, day) for day in range(1, 8)]


@pytest.fixture(autouse=True)
def _readers_refresh_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # a load after a rollback waits this long; the readers here always look at the pointer
    monkeypatch.setattr(schema, "MAX_POINTER_STALENESS_SECONDS", 0.2)


def load(settings: Settings, day: date, *names: str) -> int:
    rows = [account(name, offer(f"of-{day}")) for name in names]
    result = load_generation(settings, day, source(*rows))
    assert result.outcome is LoadOutcome.PUBLISHED
    assert result.generation_ms is not None
    return result.generation_ms


def seen(settings: Settings, *names: str) -> list[str]:
    with open_reader(settings, refresh_seconds=0) as reader:
        return [
            answer.offers[0].offer_id if answer.offers else answer.outcome.value
            for answer in reader.lookup_many(names)
        ]


def test_rollback_shows_the_earlier_generation_whole_and_back_again(bigtable_world: Settings) -> None:
    first = load(bigtable_world, DAYS[0], "a", "gone")
    second = load(bigtable_world, DAYS[1], "a", "new")
    assert seen(bigtable_world, "a", "gone", "new") == ["of-2026-01-02", "unknown", "of-2026-01-02"]
    moved = rollback(bigtable_world, first)
    assert (moved.generation_ms, moved.segment_date) == (first, DAYS[0])
    assert seen(bigtable_world, "a", "gone", "new") == ["of-2026-01-01", "of-2026-01-01", "unknown"]
    assert rollback(bigtable_world, first) == moved
    rollback(bigtable_world, second)
    assert seen(bigtable_world, "a", "gone", "new") == ["of-2026-01-02", "unknown", "of-2026-01-02"]


def test_a_load_after_a_rollback_removes_what_was_rolled_back(bigtable_world: Settings) -> None:
    first = load(bigtable_world, DAYS[0], "a")
    bad = load(bigtable_world, DAYS[1], "a", "bad")
    rollback(bigtable_world, first)
    fixed = load(bigtable_world, DAYS[1], "a")
    assert fixed == bad + 1
    assert seen(bigtable_world, "a", "bad") == ["of-2026-01-02", "unknown"]
    known = [row.manifest for row in list_generations(bigtable_world)]
    assert [(each.generation_ms, each.state.value) for each in known] == [
        (fixed, "published"), (bad, "discarded"), (first, "published"),
    ]  # fmt: skip
    with pytest.raises(LoadError) as caught:
        rollback(bigtable_world, bad)
    assert caught.value.code is LoadCode.NOT_RETAINED


def test_rollback_goes_to_the_newest_three_complete_generations_only(bigtable_world: Settings) -> None:
    generations = [load(bigtable_world, day, "a") for day in DAYS[:5]]
    kept = [row.manifest.generation_ms for row in list_generations(bigtable_world) if row.is_retained]
    assert kept == generations[:1:-1]
    published = [row.manifest.generation_ms for row in list_generations(bigtable_world) if row.is_published]
    assert published == [generations[4]]
    for unknown in (generations[1], generations[4] + 1):
        with pytest.raises(LoadError) as caught:
            rollback(bigtable_world, unknown)
        assert caught.value.code is LoadCode.NOT_RETAINED
    rollback(bigtable_world, generations[2])
    assert seen(bigtable_world, "a") == ["of-2026-01-03"]


def test_what_was_retired_stays_retired_when_newer_generations_are_discarded(
    bigtable_world: Settings,
) -> None:
    generations = [load(bigtable_world, day, "a") for day in DAYS[:4]]
    rollback(bigtable_world, generations[1])
    latest = load(bigtable_world, DAYS[4], "a")
    kept = [row.manifest.generation_ms for row in list_generations(bigtable_world) if row.is_retained]
    assert kept == [latest, generations[1]]


def test_rollback_revokes_the_claim_of_a_running_load(bigtable_world: Settings) -> None:
    first = load(bigtable_world, DAYS[0], "a")
    load(bigtable_world, DAYS[1], "a")

    begun = begin(bigtable_world, DAYS[2], source(account("a", offer("new"))))
    assert isinstance(begun, Begun)
    rollback(bigtable_world, first)
    with pytest.raises(LoadError) as caught:
        load_shard(bigtable_world, begun.manifest.generation_ms, 0, source(account("a", offer("new"))))
    assert caught.value.code is LoadCode.OVERTAKEN
    assert seen(bigtable_world, "a") == ["of-2026-01-01"]


def test_a_pointer_that_moved_in_between_is_not_moved(bigtable_world: Settings) -> None:
    first = load(bigtable_world, DAYS[0], "a")
    load(bigtable_world, DAYS[1], "a")
    with open_table(bigtable_world) as table:
        assert not pointer.go_back(table, first, first)
    assert seen(bigtable_world, "a") == ["of-2026-01-02"]


def test_verify_compares_any_kept_generation_with_its_manifest(bigtable_world: Settings) -> None:
    first = load(bigtable_world, DAYS[0], "a", "b")
    second = load(bigtable_world, DAYS[1], "a")
    assert [verify(bigtable_world, each).rows_out for each in (first, second)] == [2, 1]
    tampered = AccountOffers(account_id="z", segment_date="2026-01-02", generation_ms=second)

    def put(account_id: str) -> None:
        keys = pa.array([row_key(account_id)])
        payloads = pa.array([tampered.SerializeToString()])
        with open_table(bigtable_world) as table:
            RowWriter(table, deadline_at=time.monotonic() + 120).write(
                [Entries(keys, set_offers(keys, payloads, second))]
            )

    put("a")
    verify(bigtable_world, first)
    with pytest.raises(LoadError, match="checksum") as caught:
        verify(bigtable_world, second)
    assert caught.value.code is LoadCode.NOT_VERIFIED
    put("stray")
    with pytest.raises(LoadError) as caught:
        verify(bigtable_world, second)
    assert caught.value.counts == {"written": 1, "found": 2}


def test_verify_of_what_is_not_there_says_so(bigtable_world: Settings) -> None:
    with pytest.raises(LoadError) as caught:
        verify(bigtable_world, 1)
    assert caught.value.code is LoadCode.NO_TABLE
    load(bigtable_world, DAYS[0], "a")
    with pytest.raises(LoadError) as caught:
        verify(bigtable_world, 1)
    assert caught.value.code is LoadCode.NOT_RETAINED


def test_readers_never_see_a_mixture_while_generations_flip(bigtable_world: Settings) -> None:
    """Even days have accounts 0–59, odd days 40–99; every answer is all of one day."""
    accounts = [f"account-{number}" for number in range(100)]
    held = {0: set(accounts[:60]), 1: set(accounts[40:])}

    def rows(day: date) -> list[dict[str, object]]:
        return [account(name, offer(f"of-{day}"), market=f"m{day.day}") for name in sorted(held[day.day % 2])]

    load_generation(bigtable_world, DAYS[0], source(*rows(DAYS[0])))
    done = threading.Event()
    wrong: list[str] = []
    generations: set[int] = set()
    reads = [0]

    def read() -> None:
        with open_reader(bigtable_world, refresh_seconds=0) as reader:
            while not done.is_set():
                answers = reader.lookup_many(accounts)
                (generation,) = {answer.generation_ms for answer in answers}
                day = schema.segment_date_of(generation)
                found = {answer.account_id for answer in answers if answer.outcome is Outcome.FOUND}
                if found != held[day.day % 2]:
                    wrong.append(f"{day}: {sorted(found ^ held[day.day % 2])}")
                markets = {answer.account.market for answer in answers if answer.account is not None}
                if markets != {f"m{day.day}"}:
                    wrong.append(f"{day}: {markets}")
                generations.add(generation)
                reads[0] += 1

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for day in DAYS[1:]:
        load_generation(bigtable_world, day, source(*rows(day)))
        if day in (DAYS[2], DAYS[4]):
            two = [row.manifest.generation_ms for row in list_generations(bigtable_world) if row.is_retained][
                :2
            ]
            for _ in range(3):
                rollback(bigtable_world, two[1])
                rollback(bigtable_world, two[0])
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert len(generations) > 3
    assert reads[0] > 20


def test_the_pointer_says_when_it_moved(bigtable_world: Settings) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    load(bigtable_world, DAYS[0], "a")
    with open_reader(bigtable_world, refresh_seconds=0) as reader:
        assert before <= reader.pointer().published_at <= datetime.now(UTC)
