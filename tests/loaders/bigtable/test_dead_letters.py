"""Refused rows are kept once each, and however many shards there are, BigQuery has no more to do for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from google.cloud import bigquery

from loaders.bigtable import (
    begin_segments,
    list_generations,
    load_segments,
    load_segments_shard,
    publish_segments,
)
from loaders.bigtable import manifest as manifests
from loaders.bigtable.begin import Begun
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import ops_table
from segue.logs import lines_of
from segue.settings import Settings
from tests.bigtable_fixture import account, offer
from tests.loaders.bigtable.published_segments import create_mart, publish

DAY = date(2026, 1, 30)
REFUSED = [account(f"refused-{number}", suppressed_reason="") for number in range(6)]
ACCEPTED = [account(f"accepted-{number}", offer()) for number in range(6)]


@pytest.fixture
def settings(world: Callable[..., Settings], bigtable_emulator: str) -> Settings:
    """A day with as many shards as rows."""
    settings = world("dead-letters", bigtable_emulator_host=bigtable_emulator, bigtable_rows_per_shard=1)
    create_mart(settings)
    return settings


def kept(settings: Settings) -> list[str]:
    found = warehouse_of(settings).run(
        f"select account_id from `{ops_table(settings, 'dead_letters')}` order by account_id"
    )
    return [row.account_id for row in found]


def statements(settings: Settings) -> list[str]:
    """Every statement that the project has run which changes ``ops.dead_letters``."""
    jobs = warehouse_of(settings).client.list_jobs(max_results=1_000, all_users=True)
    texts = [job.query for job in jobs if isinstance(job, bigquery.QueryJob)]
    assert texts
    return [text for text in texts if "dead_letters" in text and not text.startswith("select")]


def begun(settings: Settings) -> Begun:
    taken = begin_segments(settings, DAY)
    assert isinstance(taken, Begun)
    return taken


def test_a_load_deletes_at_most_once_whatever_its_shards_refuse(settings: Settings) -> None:
    publish(settings, DAY, *REFUSED, *ACCEPTED)
    load_segments(settings, DAY)
    assert kept(settings) == [row["account_id"] for row in REFUSED]
    # The table was empty: there was nothing to delete.
    assert statements(settings) == []

    load_segments(settings, DAY)
    assert kept(settings) == sorted(2 * [row["account_id"] for row in REFUSED])
    assert len(statements(settings)) == 1


def test_a_generation_and_what_it_refused_name_the_run(settings: Settings) -> None:
    publish(settings, DAY, *REFUSED[:1], *ACCEPTED[:1])
    with lines_of("asset_triggered__1", DAY, "load"):
        load_segments(settings, DAY)

    [newest, *_] = list_generations(settings)
    assert newest.manifest.run_id == "asset_triggered__1"
    found = warehouse_of(settings).run(f"select distinct run_id from `{ops_table(settings, 'dead_letters')}`")
    assert [row.run_id for row in found] == ["asset_triggered__1"]


def test_a_manifest_of_no_run_is_written_as_before_there_were_any() -> None:
    """A load that began then is resumed: its manifest is replaced where it is what was read."""
    now = datetime(2026, 1, 31, tzinfo=UTC)
    manifest = manifests.GenerationManifest(
        generation_ms=5, segment_date=DAY, attempt=1, state=manifests.GenerationState.LOADING,
        started_at=now, changed_at=now,
    )  # fmt: skip
    assert "run_id" not in manifest.model_dump_json()
    named = manifest.model_copy(update={"run_id": "r"})
    assert manifests.GenerationManifest.model_validate_json(named.model_dump_json()).run_id == "r"


def test_a_load_that_is_resumed_keeps_every_refused_row_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some shards were complete, one died after it had kept its rows: it is tried again, or the load is."""
    publish(settings, DAY, *REFUSED, *ACCEPTED)
    first = begun(settings)
    generation = first.manifest.generation_ms
    for shard in list(first.shards)[:4]:
        load_segments_shard(settings, generation, shard)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    for shard in list(first.shards)[4:8]:
        with monkeypatch.context() as patch:
            patch.setattr(manifests, "write_shard", die)
            with pytest.raises(KeyboardInterrupt):
                load_segments_shard(settings, generation, shard)
    # Some by a retry of their own, the others by the load's.
    for shard in list(first.shards)[4:6]:
        load_segments_shard(settings, generation, shard)
    assert begun(settings).manifest.generation_ms == generation
    for shard in first.shards:
        load_segments_shard(settings, generation, shard)
    result = publish_segments(settings, generation)

    assert (result.rows_in, result.rows_out, result.dead_lettered) == (12, 6, 6)
    assert kept(settings) == [row["account_id"] for row in REFUSED]
