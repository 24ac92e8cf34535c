"""Whoever is erased while a run is under way is not in what the run publishes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from google.cloud import bigquery
from pydantic import SecretStr

from loaders.erasure import erase
from loaders.warehouse.client import warehouse_of
from runs import publish as publishing
from runs.erased import TakenOut, keeping_nobody_erased
from runs.published import PublishedMart
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import RunWindow
from tests.judged import let_through

D1, D2 = date(2026, 3, 1), date(2026, 3, 2)
PEOPLE = PublishedMart("fct_people", "snapshot_date", 0, "A row per account and day.")
PLANS = PublishedMart("fct_plans", "snapshot_date", 0, "A row per subscription and day.")
TOTALS = PublishedMart("agg_people", "snapshot_date", 0, "A row per day.")
MARTS = [PEOPLE, PLANS, TOTALS]
COLUMNS = {PEOPLE: "account_id", PLANS: "subscription_id", TOTALS: "people"}


@pytest.fixture
def settings(world: Callable[..., Settings], bigtable_emulator: str) -> Settings:
    """A world in which ``leaver`` pays ``s-leaver``, which only raw knows."""
    settings = world("meanwhile", bigtable_emulator_host=bigtable_emulator, erasure_salt=SecretStr("salt"))
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset("raw")
    warehouse.run(
        f"create table `{settings.project_id}.raw.subscription_events` as "
        "select 'leaver' as account_id, 's-leaver' as subscription_id"
    )
    return settings


def build(settings: Settings, window: RunWindow) -> None:
    """What the gate let through: on both days both accounts, both subscriptions, and how many there are."""
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset(window.audit_dataset)
    for mart, column in COLUMNS.items():
        names = {
            "account_id": ("leaver", "stayer"),
            "subscription_id": ("s-leaver", "s-stayer"),
            "people": ("2",),
        }
        rows = ", ".join(f"(date '{day}', '{name}')" for day in (D1, D2) for name in names[column])
        table = warehouse.table(window.audit_dataset, mart.name)
        schema = [bigquery.SchemaField("snapshot_date", "DATE"), bigquery.SchemaField(column, "STRING")]
        warehouse.ensure_table(table, schema, partition_field="snapshot_date")
        warehouse.run(f"delete from `{table}` where true; insert into `{table}` values {rows};")
    let_through(settings, window, MARTS)


def rows(settings: Settings, mart: PublishedMart, dataset: str = "marts") -> list[tuple[Any, ...]]:
    table = f"{settings.project_id}.{dataset}.{mart.name}"
    found = warehouse_of(settings).run(f"select snapshot_date, {COLUMNS[mart]} from `{table}` order by 1, 2")
    return [tuple(row.values()) for row in found]


def counts(settings: Settings) -> list[tuple[Any, ...]]:
    """Of the last publication."""
    found = warehouse_of(settings).run(
        "select mart, partition_date, row_count, rows_erased from ops.publications where publication_id = "
        "(select publication_id from ops.publications order by published_at desc limit 1) order by 1, 2"
    )
    return [tuple(row.values()) for row in found]


WITHOUT_LEAVER = [
    ("agg_people", D1, 1, 0), ("agg_people", D2, 1, 0),
    ("fct_people", D1, 1, 1), ("fct_people", D2, 1, 1),
    ("fct_plans", D1, 1, 1), ("fct_plans", D2, 1, 1),
]  # fmt: skip


def test_what_was_read_before_an_erasure_is_not_published_after_it(settings: Settings) -> None:
    window = RunWindow.whole(settings, D1, D2)
    erase(settings, "leaver")
    # A statement that had read raw before writes after the erasure has looked everywhere.
    build(settings, window)

    publication = publishing.publish(settings, window, MARTS)

    assert rows(settings, PEOPLE) == [(D1, "stayer"), (D2, "stayer")]
    assert rows(settings, PLANS) == [(D1, "s-stayer"), (D2, "s-stayer")]
    assert rows(settings, TOTALS) == [(D1, "2"), (D2, "2")]
    assert counts(settings) == WITHOUT_LEAVER
    assert publication.rows_erased == 4


def test_an_erasure_after_the_last_look_is_seen_once_the_publication_is_visible(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = RunWindow.whole(settings, D1, D2)
    build(settings, window)
    publish_once = publishing._publish_once
    visible: list[list[tuple[Any, ...]]] = []

    def with_an_old_view(*arguments: Any) -> Any:
        """The first time: a transaction that began before the erasure and commits after all of it."""
        if visible:
            return publish_once(*arguments)
        erase(settings, "leaver")
        build(settings, window)
        published = publish_once(*arguments[:-1], TakenOut(subjects=2))
        visible.append(rows(settings, PEOPLE))
        return published

    monkeypatch.setattr(publishing, "_publish_once", with_an_old_view)
    publishing.publish(settings, window, MARTS)

    assert {name for _, name in visible[0]} == {"leaver", "stayer"}
    assert {name for _, name in rows(settings, PEOPLE)} == {"stayer"}
    assert {name for _, name in rows(settings, PLANS)} == {"s-stayer"}


def test_an_account_that_was_erased_long_before_the_run_costs_it_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(settings, "leaver")
    warehouse_of(settings).run(
        "update ops.erasures set recorded_at = timestamp_sub(recorded_at, interval 1 hour) where true"
    )
    window = RunWindow.whole(settings, D1, D2)
    build(settings, window)
    monkeypatch.setattr(publishing, "take_out", None)

    publishing.publish(settings, window, MARTS)

    assert [row[2:] for row in counts(settings)] == [(1, 0), (1, 0), (2, 0), (2, 0), (2, 0), (2, 0)]


def test_what_a_failed_step_leaves_holds_nobody_who_was_erased_meanwhile(settings: Settings) -> None:
    window = RunWindow.whole(settings, D1, D2)
    erase(settings, "leaver")

    def failing_step() -> None:
        with keeping_nobody_erased(settings, window):
            build(settings, window)
            raise SegueError("the model is broken")

    with pytest.raises(SegueError, match="the model is broken"):
        failing_step()

    assert rows(settings, PEOPLE, window.audit_dataset) == [(D1, "stayer"), (D2, "stayer")]
    assert rows(settings, PLANS, window.audit_dataset) == [(D1, "s-stayer"), (D2, "s-stayer")]
