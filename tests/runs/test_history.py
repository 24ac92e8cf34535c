"""Which partitions of the subscription history a run builds: those whose arrivals or code have changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import append_rows, ensure_ops_tables
from runs.history import EVENTS, VERSIONS, code_version, history_window
from segue.settings import Settings

MAY_30, MAY_31 = date(2026, 5, 30), date(2026, 5, 31)
JUNE_1, JUNE_2, JUNE_3, JUNE_4 = (date(2026, 6, day) for day in (1, 2, 3, 4))
DAYS = [MAY_30, MAY_31, JUNE_1, JUNE_2, JUNE_3]
NOON = datetime(2026, 6, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    settings = dbt_world("history", history_start_date=MAY_30)
    ensure_ops_tables(warehouse_of(settings))
    return settings


def landed(
    settings: Settings, day: date, changed_at: datetime = NOON, table: str = "subscription_events"
) -> None:
    row = {"run_date": day, "step": "land", "table_name": table, "changed_at": changed_at}
    append_rows(warehouse_of(settings), "run_ledger", [row])


def published(
    settings: Settings, mart: str, day: date, raw_read_at: datetime = LATER, code: str | None = None
) -> None:
    """A publication a minute after its run began to read; by the present code unless ``code`` is given."""
    row = {
        "run_date": day,
        "mart": mart,
        "partition_date": day,
        "raw_read_at": raw_read_at,
        "published_at": raw_read_at + timedelta(minutes=1),
        "code_version": code or code_version(settings.dbt_manifest),
    }
    append_rows(warehouse_of(settings), "publications", [row])


def everything_published(settings: Settings) -> None:
    for day in DAYS:
        landed(settings, day)
        published(settings, EVENTS, day)
        published(settings, VERSIONS, day)


def to_build(settings: Settings, as_of: date) -> tuple[date, date]:
    window = history_window(settings, as_of)
    return window.events_from_date, window.versions_from_date


def test_the_next_day_is_built_alone(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, JUNE_4)

    assert to_build(settings, JUNE_4) == (JUNE_4, JUNE_4)


def test_nothing_is_built_again_that_is_fresh(settings: Settings) -> None:
    everything_published(settings)

    assert to_build(settings, JUNE_3) == (JUNE_4, JUNE_4)


def test_an_arrival_day_that_landed_again_with_other_files_is_built_with_all_that_follows(
    settings: Settings,
) -> None:
    everything_published(settings)
    landed(settings, JUNE_2, LATER + timedelta(hours=1))

    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_a_change_before_the_month_rebuilds_the_log_of_the_month(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, MAY_31, LATER + timedelta(hours=1))

    assert to_build(settings, JUNE_3) == (MAY_31, JUNE_1)


def test_other_code_builds_everything(settings: Settings) -> None:
    everything_published(settings)
    manifest = settings.dbt_target_dir / "manifest.json"
    content = json.loads(manifest.read_text())
    content["macros"]["macro.segue.entered_state"]["macro_sql"] += "-- another rule"
    manifest.write_text(json.dumps(content))

    assert to_build(settings, JUNE_3) == (MAY_30, JUNE_1)


def test_what_read_raw_before_it_changed_is_not_fresh(settings: Settings) -> None:
    for day in DAYS:
        landed(settings, day, LATER)
        published(settings, EVENTS, day, NOON if day == JUNE_3 else LATER)
        published(settings, VERSIONS, day)

    assert to_build(settings, JUNE_3) == (JUNE_3, JUNE_3)


def test_the_tables_are_there_before_anything_was_published(settings: Settings) -> None:
    landed(settings, JUNE_1)

    assert to_build(settings, JUNE_1) == (JUNE_1, JUNE_1)
    columns = warehouse_of(settings).run(
        f"select column_name from {settings.history_dataset}.INFORMATION_SCHEMA.COLUMNS "
        f"where table_name = '{VERSIONS}'",
    )
    assert {"subscription_id", "known_date", "state"} <= {row.column_name for row in columns}


def test_events_of_every_provider_count(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, JUNE_2, LATER + timedelta(hours=1), table="stripe_events")

    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_a_changed_catalogue_is_read_by_its_day_and_all_that_follow(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, JUNE_1, LATER + timedelta(hours=1), table="plans")
    published(settings, EVENTS, JUNE_1, LATER + timedelta(hours=2))
    published(settings, VERSIONS, JUNE_1, LATER + timedelta(hours=2))

    # The first of the month was built again since; the days after it were not.
    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_what_other_code_has_replaced_since_is_not_fresh(settings: Settings) -> None:
    """A model was edited, run and reverted: the present code has published the day, but not last."""
    everything_published(settings)
    published(settings, EVENTS, JUNE_2, LATER + timedelta(hours=1), code="edited")

    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_what_the_present_code_has_published_last_is_fresh_whatever_came_before(settings: Settings) -> None:
    for day in DAYS:
        landed(settings, day)
        for mart in (EVENTS, VERSIONS):
            published(settings, mart, day, code="earlier")
            published(settings, mart, day, LATER + timedelta(hours=1))

    assert to_build(settings, JUNE_3) == (JUNE_4, JUNE_4)
