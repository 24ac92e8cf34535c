"""From BigQuery's published partition to lookups, with the hand-over in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loaders.bigtable import LoadCode, LoadError, LoadOutcome, load_segments, republish
from loaders.bigtable.table import ensure_table
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import IncidentTable
from loaders.warehouse.ops import append_rows, ops_table
from runs.deadlines import missed
from runs.incidents import raise_incidents
from runs.steps import load_online
from segue.settings import Settings
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer
from tests.loaders.bigtable.published_segments import create_mart, publish
from tests.pages import typed

DAY_1, DAY_2, DAY_3 = date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)
PAST = datetime(2026, 2, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def platform(world: Any, bigtable_emulator: str) -> Settings:
    """A published mart of two days, nothing loaded."""
    settings: Settings = world("segments", bigtable_emulator_host=bigtable_emulator)
    create_mart(settings)
    publish(settings, DAY_1, account("yesterday", offer()))
    publish(
        settings,
        DAY_2,
        account("acc-1", offer("b", priority=1), offer("a", priority=2, score=None)),
        account("acc-2", suppressed_reason="NO_CONSENT"),
        account("acc-3", offer(), valid_until_at=PAST),
    )
    return settings


def ledger(settings: Settings) -> list[tuple[Any, ...]]:
    columns = "run_date, step, table_name, rows_in, rows_out, rows_quarantined"
    sql = f"select {columns} from `{ops_table(settings, 'run_ledger')}` order by finished_at"
    return [tuple(row.values()) for row in warehouse_of(settings).run(sql)]


def segue(settings: Settings, *arguments: str) -> Result:
    """Runs the command line in this process, with these settings."""
    from cli import app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segue.settings.get_settings", lambda: settings)
        return CliRunner().invoke(app, list(arguments))


def test_a_lookup_before_any_load_says_that_nothing_is_published(platform: Settings) -> None:
    ensure_table(platform)
    found = segue(platform, "lookup", "acc-1")
    assert (found.exit_code, "load a day first" in found.stderr) == (6, True)


def test_republish_loads_the_newest_published_day_once(platform: Settings) -> None:
    first, second = republish(platform), republish(platform)
    assert first is not None
    assert second is not None
    assert (first.outcome, first.segment_date, first.rows_out) == (LoadOutcome.PUBLISHED, DAY_2, 3)
    assert (second.outcome, second.generation_ms) == (LoadOutcome.CURRENT, first.generation_ms)
    with open_reader(platform) as reader:
        answers = reader.lookup_many(["acc-1", "acc-2", "acc-3", "yesterday"])
    assert [each.outcome.value for each in answers] == ["found", "suppressed", "expired", "unknown"]
    assert [(each.offer_id, each.HasField("score")) for each in answers[0].offers] == [
        ("b", True),
        ("a", False),
    ]
    assert ledger(platform) == [(DAY_2, "bigtable_load", "offer_segments", 3, 3, 0)]


def test_an_older_day_is_superseded_and_not_in_the_ledger(platform: Settings) -> None:
    republish(platform)
    before = ledger(platform)
    assert load_segments(platform, DAY_1).outcome is LoadOutcome.SUPERSEDED
    assert ledger(platform) == before


def test_segments_are_late_only_while_readers_see_none_of_the_day(platform: Settings) -> None:
    republish(platform)
    due = datetime(2026, 2, 2, 6, 30, tzinfo=UTC)
    # Every day was published, as far as these operational tables know.
    recorded = platform.model_copy(update={"ops_dataset": "ops_of_deadlines"})
    rows = [
        {
            "run_date": day,
            "publication_id": "p",
            "mart": "offer_segments",
            "partition_date": day,
            "row_count": 3,
        }
        for day in (DAY_1, DAY_2, DAY_3)
    ]
    append_rows(warehouse_of(recorded), "publications", rows)

    late = {day: missed(recorded, day, due, due, is_online=True) for day in (DAY_1, DAY_2, DAY_3)}

    assert (late[DAY_1], late[DAY_2]) == (None, None)
    assert late[DAY_3] is not None
    assert (late[DAY_3].cause, late[DAY_3].ends_with) == ("segments_late", "online")


def test_segments_that_were_late_are_no_incident_any_more_once_they_are_loaded(platform: Settings) -> None:
    settings = platform.model_copy(update={"ops_dataset": "ops_of_late", "bigtable_table": "late"})
    ensure_table(settings)
    published = {"run_date": DAY_2, "publication_id": "p", "mart": "offer_segments", "partition_date": DAY_2}
    append_rows(warehouse_of(settings), "publications", [published | {"row_count": 3}])
    due = datetime(2026, 2, 1, 6, 30, tzinfo=UTC)
    late = missed(settings, DAY_2, due, due, is_online=True)
    assert late is not None
    assert late.cause == "segments_late"
    raise_incidents(settings, [late])

    load_online(settings, DAY_2)

    [over] = IncidentTable(warehouse_of(settings)).live()
    assert (over.is_open, over.closed_because) == (False, f"{DAY_2} is online")
    assert missed(settings, DAY_2, due, due, is_online=True) is None


def test_a_day_that_was_not_published_and_a_missing_mart_are_named(platform: Settings) -> None:
    with pytest.raises(LoadError, match="2026-02-01") as caught:
        load_segments(platform, DAY_3)
    assert caught.value.code is LoadCode.NOT_PUBLISHED
    with pytest.raises(LoadError) as caught:
        load_segments(
            platform.model_copy(update={"marts_dataset": "absent", "bigtable_table": "other"}), DAY_3
        )
    assert caught.value.code is LoadCode.SOURCE


@pytest.mark.parametrize(
    ("account_id", "exit_code", "outcome"),
    [("acc-1", 0, "found"), ("nobody", 3, "unknown"), ("acc-2", 4, "suppressed"), ("acc-3", 5, "expired")],
)
def test_the_lookup_command_has_an_exit_code_for_each_answer(
    platform: Settings, account_id: str, exit_code: int, outcome: str
) -> None:
    republish(platform)
    lookup = typed("docs/operate.md", "segue lookup ACCOUNT", {"ACCOUNT": account_id})
    found = segue(platform, *lookup, "--json")
    assert (found.exit_code, json.loads(found.stdout)["outcome"]) == (exit_code, outcome)
    shown = segue(platform, *lookup)
    assert (shown.exit_code, outcome in shown.stdout) == (exit_code, True)


def test_the_lookup_command_refuses_an_impossible_id_as_wrong_usage(platform: Settings) -> None:
    assert segue(platform, "lookup", "").exit_code == 2


def test_generations_are_listed_verified_and_rolled_back_from_the_command_line(platform: Settings) -> None:
    again = load_segments(platform, DAY_2)
    page = "docs/operate.md"
    of_the_page = typed(page, "segue generations list")
    listed = json.loads(segue(platform, *of_the_page, "--json").stdout)
    assert [each["generation_ms"] for each in listed if each["is_published"]] == [again.generation_ms]
    assert "published" in segue(platform, *of_the_page).stdout
    verify = typed(page, "segue generations verify G", {"G": again.generation_ms})
    assert segue(platform, *verify).exit_code == 0
    earlier = next(each["generation_ms"] for each in reversed(listed) if each["is_retained"])
    rollback = typed(page, "segue generations rollback G", {"G": earlier})
    moved = segue(platform, *rollback, "--json")
    assert json.loads(moved.stdout)["generation_ms"] == earlier
    refused = segue(platform, "generations", "rollback", "12345")
    assert (refused.exit_code, "not_retained" in refused.stderr) == (1, True)
