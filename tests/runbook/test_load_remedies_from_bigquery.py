"""A load that BigQuery has a part in: its failures, and what ends them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from loaders.bigtable import begin_segments, load_segments_shard, publish_segments
from loaders.bigtable.begin import Begun
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import append_rows
from runs.steps import load_online
from segue.settings import Settings
from tests.bigquery_proxy import BigQueryProxy
from tests.bigtable_fixture import account, offer
from tests.loaders.bigtable.published_segments import create_mart, publish
from tests.runbook.steps import failing, says, segue, step

LIST, VERIFY = "segue generations list", "segue generations verify G"
DEAD_LETTERS = (
    'segue query "select code, reason, count(*) as row_count, min(account_id) as example from '
    "ops.dead_letters where run_date = '2026-11-26' group by code, reason\""
)
TWICE = (
    'segue query "select account_id, count(*) as times from marts.offer_segments '
    "where segment_date = '2026-11-26' group by account_id having count(*) > 1\""
)
REFUSED = [account(f"refused-{number}", suppressed_reason="") for number in range(11)]
_DAYS = (date(2026, 1, 30) + timedelta(days=number) for number in itertools.count())


@pytest.fixture(scope="module")
def mart(world: Callable[..., Settings], bigtable_emulator: str) -> Settings:
    """A published mart without a row."""
    settings = world("runbook-load", bigtable_emulator_host=bigtable_emulator)
    create_mart(settings)
    return settings


@dataclass
class Platform:
    """A day of its own for each test, and a table that nothing was loaded into."""

    settings: Settings
    day: date
    publications: int = 0

    @property
    def warehouse(self) -> Warehouse:
        return warehouse_of(self.settings)

    def publish(self, *rows: dict[str, Any]) -> None:
        """As a run of the day: what was published before is gone."""
        if self.publications:
            self.warehouse.run(f"delete from marts.offer_segments where segment_date = date '{self.day}'")
        if rows:
            publish(self.settings, self.day, *rows)
        self.publications += 1
        publication = {"publication_id": f"{self.publications}", "published_at": datetime.now(UTC)}
        of_day = {"run_date": self.day, "partition_date": self.day, "mart": "offer_segments"}
        append_rows(self.warehouse, "publications", [of_day | publication | {"row_count": len(rows)}])

    def begun(self) -> int:
        taken = begin_segments(self.settings, self.day)
        assert isinstance(taken, Begun)
        return taken.manifest.generation_ms

    def online(self, code: str) -> dict[str, Any]:
        """What readers see, as the entry of ``code`` has it listed."""
        listed = json.loads(segue(self.settings, [*step(code, LIST), "--json"]))
        [published] = [each for each in listed if each["is_published"]]
        return dict(published)

    def found(self, code: str, query: str) -> list[dict[str, Any]]:
        """The answer to the query of an entry."""
        asked = step(code, query, {"2026-11-26": self.day})
        answer: list[dict[str, Any]] = json.loads(segue(self.settings, [*asked, "--format", "json"]))
        return answer

    def ledger(self) -> list[tuple[int, int]]:
        rows = self.warehouse.run(
            f"select rows_in, rows_out from ops.run_ledger where run_date = date '{self.day}'"
        )
        return [(row.rows_in, row.rows_out) for row in rows]


@pytest.fixture
def platform(mart: Settings) -> Platform:
    day = next(_DAYS)
    return Platform(mart.model_copy(update={"bigtable_table": f"offers-{day}"}), day)


@pytest.fixture
def away(platform: Platform) -> Iterator[BigQueryProxy]:
    """BigQuery, which may be away for some tables; Segue gives up soon."""
    proxy = BigQueryProxy(platform.settings.bigquery_endpoint or "")
    settings = {"bigquery_endpoint": proxy.address, "bigquery_retry_seconds": 0.3}
    platform.settings = platform.settings.model_copy(update=settings)
    yield proxy
    proxy.close()


def without(proxy: BigQueryProxy, table: str) -> None:
    proxy.fault = lambda asked: "broken" if table in asked.path or table.encode() in asked.body else ""


def test_not_published(platform: Platform) -> None:
    with failing("not_published"):
        load_online(platform.settings, platform.day)

    says("not_published", "Publish the day")
    platform.publish(account("a", offer()))
    load_online(platform.settings, platform.day)
    assert platform.online("not_published")["segment_date"] == str(platform.day)


def test_invalid_row(platform: Platform) -> None:
    platform.publish(account("a", offer("one")), account("a", offer("other")), account("b"))
    with failing("invalid_row"):
        load_online(platform.settings, platform.day)
    assert platform.found("invalid_row", TWICE) == [{"account_id": "a", "times": 2}]

    says("invalid_row", "run the day again")
    platform.publish(account("a", offer("one")), account("b"))
    assert platform.found("invalid_row", TWICE) == []
    load_online(platform.settings, platform.day)


def test_source_that_was_never_published(platform: Platform) -> None:
    absent = platform.settings.model_copy(update={"marts_dataset": "absent"})
    with failing("source"):
        load_online(absent, platform.day)

    says("source", "*there is no table*: publish a day first")
    platform.publish(account("a"))
    load_online(platform.settings, platform.day)


def test_source_whose_staged_rows_have_expired(platform: Platform) -> None:
    platform.publish(account("a"))
    generation = platform.begun()
    platform.warehouse.drop_table(
        platform.warehouse.table(platform.settings.bigtable_load_dataset, f"segments_{generation}")
    )
    with failing("source"):
        load_segments_shard(platform.settings, generation, 0)

    says("source", "if what was staged has expired, clear `begin` with the tasks after it")
    again = platform.begun()
    load_segments_shard(platform.settings, again, 0)
    assert publish_segments(platform.settings, again).rows_out == 1


def test_source_while_bigquery_is_away(platform: Platform, away: BigQueryProxy) -> None:
    platform.publish(account("a"))
    without(away, "offer_segments")
    with failing("source"):
        platform.begun()

    says("source", "Do as for [warehouse](#warehouse)")
    says("warehouse", "Wait for the retries")
    without(away, "no table")
    load_online(platform.settings, platform.day)


def test_refused(platform: Platform) -> None:
    platform.publish(account("a"), *REFUSED)
    with failing("refused"):
        load_online(platform.settings, platform.day)
    [kept] = platform.found("refused", DEAD_LETTERS)
    assert (kept["code"], kept["row_count"], kept["example"]) == ("INVALID_ROW", 11, "refused-0")

    says("refused", "run the day again")
    platform.publish(account("a"), *(row | {"suppressed_reason": None} for row in REFUSED))
    load_online(platform.settings, platform.day)
    generation = platform.online("not_published")["generation_ms"]
    segue(platform.settings, step("refused", VERIFY, {"G": generation}))
    assert platform.ledger() == [(12, 12)]


def test_ledger_of_a_generation_that_is_online(platform: Platform, away: BigQueryProxy) -> None:
    platform.publish(account("a"))
    generation = platform.begun()
    load_segments_shard(platform.settings, generation, 0)
    without(away, "run_ledger")
    with failing("ledger"):
        publish_segments(platform.settings, generation)
    assert platform.online("not_published")["generation_ms"] == generation

    says("ledger", "Do as for [warehouse](#warehouse), then clear the task")
    without(away, "no table")
    publish_segments(platform.settings, generation)
    publish_segments(platform.settings, generation)
    assert platform.ledger() == [(1, 1)]


def test_ledger_of_rows_that_were_refused(platform: Platform, away: BigQueryProxy) -> None:
    platform.publish(account("a"), REFUSED[0])
    generation = platform.begun()
    without(away, "dead_letters")
    with failing("ledger"):
        load_segments_shard(platform.settings, generation, 0)

    says("ledger", "Do as for [warehouse](#warehouse), then clear the task")
    without(away, "no table")
    load_segments_shard(platform.settings, generation, 0)
    publish_segments(platform.settings, generation)
    assert [each["row_count"] for each in platform.found("refused", DEAD_LETTERS)] == [1]
    assert platform.ledger() == [(2, 1)]
