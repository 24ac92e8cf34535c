"""An account that is erased while segments are loaded: the load goes on, and ends without it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr

from loaders.bigtable import (
    begin_segments,
    load_segments,
    load_segments_shard,
    pointer,
    publish_segments,
    verify,
)
from loaders.bigtable.begin import Begun
from loaders.bigtable.connection import open_table
from loaders.bigtable.result import LoadResult
from loaders.erasure import erase
from loaders.warehouse.client import warehouse_of
from segue.settings import Settings
from segue_client.bigtable.row_key import row_key
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer
from tests.loaders.bigtable.published_segments import create_mart, publish

DAY_1, DAY_2 = date(2026, 3, 29), date(2026, 3, 30)
CHANGED, UNCHANGED, STAYER = "leaver-with-news", "leaver-as-before", "stayer"


@pytest.fixture
def settings(world: Callable[..., Settings], bigtable_emulator: str) -> Settings:
    """The first day is online; on the second, offers of two accounts change. There are three shards."""
    settings = world(
        "running-load", bigtable_emulator_host=bigtable_emulator, erasure_salt=SecretStr("salt"),
        bigtable_rows_per_shard=1,
    )  # fmt: skip
    create_mart(settings)
    publish(settings, DAY_1, *(account(each, offer("first")) for each in (CHANGED, UNCHANGED, STAYER)))
    load_segments(settings, DAY_1)
    second = {CHANGED: "second", UNCHANGED: "first", STAYER: "second"}
    publish(settings, DAY_2, *(account(each, offer(shown)) for each, shown in second.items()))
    return settings


def begin(settings: Settings) -> Begun:
    begun = begin_segments(settings, DAY_2)
    assert isinstance(begun, Begun)
    return begun


def load_shards(settings: Settings, begun: Begun) -> None:
    for shard in begun.shards:
        load_segments_shard(settings, begun.manifest.generation_ms, shard)


def finish(settings: Settings, begun: Begun) -> LoadResult:
    return publish_segments(settings, begun.manifest.generation_ms)


def assert_only_the_stayer_is_online(settings: Settings, begun: Begun, result: LoadResult) -> None:
    assert (result.rows_in, result.rows_erased, result.rows_out) == (1, 2, 1)
    # Every count and checksum of the generation is what it shows.
    verify(settings, begun.manifest.generation_ms)
    with open_reader(settings) as reader:
        found = [each.outcome.value for each in reader.lookup_many([CHANGED, UNCHANGED, STAYER])]
    assert found == ["unknown", "unknown", "found"]
    assert keys_of_leavers(settings) == []
    [ledger] = warehouse_of(settings).run(
        "select rows_in, rows_out, rows_quarantined, rows_erased from ops.run_ledger "
        f"where run_date = date '{DAY_2}' and step = 'bigtable_load'"
    )
    assert ledger.values() == (3, 1, 0, 2)


def keys_of_leavers(settings: Settings) -> list[bytes]:
    """Rows of theirs, even if they show nothing."""
    with open_table(settings) as table:
        return [each for each in map(row_key, (CHANGED, UNCHANGED)) if table.read_row(each) is not None]


def erase_both(settings: Settings) -> None:
    for each in (CHANGED, UNCHANGED):
        erase(settings, each)


def test_after_the_rows_were_staged(settings: Settings) -> None:
    begun = begin(settings)
    erase_both(settings)
    load_shards(settings, begun)

    assert_only_the_stayer_is_online(settings, begun, finish(settings, begun))


def test_after_the_shards_were_loaded(settings: Settings) -> None:
    begun = begin(settings)
    load_shards(settings, begun)
    erase_both(settings)

    assert_only_the_stayer_is_online(settings, begun, finish(settings, begun))


def test_after_a_shard_has_read_its_rows_and_before_it_writes_them(settings: Settings) -> None:
    begun = begin(settings)
    staged = begun.manifest.staged
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset("read")
    warehouse.run(f"create table read.rows as select * from `{staged}` where account_id != '{STAYER}'")
    erase_both(settings)
    warehouse.run(f"insert into `{staged}` select * from read.rows")
    load_shards(settings, begun)
    assert keys_of_leavers(settings) != []

    assert_only_the_stayer_is_online(settings, begun, finish(settings, begun))


def test_after_the_generation_was_verified(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = begin(settings)
    load_shards(settings, begun)
    move = pointer.publish

    def erase_first(*arguments: Any) -> bool:
        erase_both(settings)
        return move(*arguments)

    monkeypatch.setattr(pointer, "publish", erase_first)
    result = finish(settings, begun)

    # The load counts them, their erasure has noted what the generation no longer shows.
    assert (result.rows_in, result.rows_erased, result.rows_out) == (3, 0, 3)
    verify(settings, begun.manifest.generation_ms)
    assert keys_of_leavers(settings) == []
