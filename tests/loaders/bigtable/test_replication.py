"""On replicated clusters no reader sees a generation that is not whole, whatever comes late and how.

``SEGUE_SOAK_SEEDS`` runs more seeds than the few that every test run has time for (``make soak``).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date

import pytest

from loaders.bigtable import LoadCode, LoadError, list_generations, replication, rollback
from loaders.bigtable.load import load_generation
from segue.settings import Settings
from segue_client.answer import Lookup, Outcome
from segue_client.bigtable import schema
from segue_client.errors import LookupFailedError, NothingPublishedError
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer, source
from tests.loaders.bigtable.replicated_bigtable import replicated_bigtable

SEEDS = range(int(os.environ.get("SEGUE_SOAK_SEEDS", "1")))
LAG_SECONDS = 0.5
DAYS = [date(2026, 1, day) for day in range(1, 6)]
ACCOUNTS = [f"account-{number}" for number in range(60)]
# even days hold the first forty accounts, odd days the last forty
HELD = {0: frozenset(ACCOUNTS[:40]), 1: frozenset(ACCOUNTS[20:])}


@pytest.fixture(autouse=True)
def _readers_refresh_often(monkeypatch: pytest.MonkeyPatch) -> None:
    # a load after a rollback waits this long; the readers here look at the pointer before every lookup
    monkeypatch.setattr(schema, "MAX_POINTER_STALENESS_SECONDS", 1.0)


def load(settings: Settings, day: date) -> int:
    held = HELD[day.day % 2]
    rows = [account(name, offer(f"of-{day}"), market=f"{day}") for name in ACCOUNTS if name in held]
    generation = load_generation(settings, day, source(*rows)).generation_ms
    assert generation is not None
    return generation


def problems(answers: list[Lookup]) -> list[str]:
    """What no reader may see: every account tells by its market which day it is of."""
    [generation] = {each.generation_ms for each in answers}
    day = schema.segment_date_of(generation)
    found = []
    for each in answers:
        market = None if each.outcome is not Outcome.FOUND or each.account is None else each.account.market
        expected = f"{day}" if each.account_id in HELD[day.day % 2] else None
        if market != expected:
            found.append(f"{each.account_id} is of {market} in {day}")
    return found


@dataclass
class Seen:
    """What readers saw."""

    problems: list[str] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)

    def wait_for(self, generation: int) -> None:
        """Until somebody has seen it."""
        patience = time.monotonic() + 20
        while generation not in self.generations:
            assert time.monotonic() < patience, f"nobody follows to {generation}"
            time.sleep(0.005)


@contextmanager
def reading(settings: Settings) -> Iterator[Seen]:
    """Readers that ask for every account, all the time."""
    seen, done = Seen(), threading.Event()

    def read() -> None:
        with open_reader(settings, refresh_seconds=0) as reader:
            while not done.is_set():
                # a machine that is too busy to answer in time has given no wrong answer
                with suppress(LookupFailedError, NothingPublishedError):
                    answers = reader.lookup_many(ACCOUNTS)
                    seen.problems += problems(answers)
                    seen.generations.append(answers[0].generation_ms)
                done.wait(0.005)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    try:
        yield seen
    finally:
        done.set()
        for each in readers:
            each.join()


@pytest.mark.parametrize("seed", SEEDS)
def test_readers_see_whole_generations_through_loads_and_rollbacks(
    bigtable_world: Settings, seed: int
) -> None:
    with replicated_bigtable(bigtable_world, seed, LAG_SECONDS) as (_, settings):
        published = [load(settings, DAYS[0])]
        with reading(settings) as seen:
            for day in DAYS[1:3]:
                published.append(load(settings, day))
                seen.wait_for(published[-1])
            rollback(settings, published[1])
            # removes what was rolled back, which a cluster may have been told of just now
            for day in DAYS[2:]:
                published.append(load(settings, day))
                seen.wait_for(published[-1])
    assert seen.problems == []
    # readers were there all along
    assert set(seen.generations) == set(published)
    assert len(seen.generations) > 10


def test_without_waiting_for_the_clusters_they_would_not(
    bigtable_world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replicated_bigtable(bigtable_world, 0, 4 * LAG_SECONDS) as (_, settings):
        load(settings, DAYS[0])
        monkeypatch.setattr("loaders.bigtable.publish.wait_until_replicated", lambda *_: None)
        with reading(settings) as seen:
            seen.wait_for(load(settings, DAYS[1]))
    assert seen.problems != []


def test_while_a_cluster_is_cut_off_nothing_is_published(bigtable_world: Settings) -> None:
    with replicated_bigtable(bigtable_world, 0, 0.1) as (clusters, settings):
        first = load(settings, DAYS[0])
        clusters.is_cut_off = True
        with pytest.raises(LoadError, match="not every cluster") as caught:
            load(settings.model_copy(update={"bigtable_load_deadline_seconds": 2.0}), DAYS[1])
        assert caught.value.code is LoadCode.NOT_REPLICATED
        assert [each.manifest.generation_ms for each in list_generations(settings) if each.is_published] == [
            first
        ]
        clusters.is_cut_off = False
        assert load(settings, DAYS[1]) > first


def test_the_emulator_has_whatever_was_written(bigtable_world: Settings) -> None:
    load(bigtable_world, DAYS[0])
    replication.wait_until_replicated(bigtable_world, 0.0)
