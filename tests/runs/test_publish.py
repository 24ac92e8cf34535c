"""Publication: all marts together or none, newer knowledge stays, order does not matter."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from loaders.warehouse.ops import append_rows
from runs import publish as publishing
from runs.publish import Publication
from runs.published import PublishedMart, PublishError, published_marts
from runs.verdict import NotBuiltError
from segue.settings import Settings
from segue.window import RunWindow
from tests.judged import let_through

D1, D2, D3, D4, D5 = (date(2026, 3, n) for n in (1, 2, 3, 4, 5))
DAILY = PublishedMart("fct_daily", "snapshot_date", 0, "A row per day.")
JOURNEY = PublishedMart("fct_journey", "journey_date", 2, "Restates two days more.")
MARTS = [DAILY, JOURNEY]


@pytest.fixture
def settings(world: Callable[..., Settings]) -> Settings:
    """A world of its own for each test: publication keeps history."""
    BUILT.clear()
    return world("publish")


BUILT: dict[date, str] = {}
"""End date of a run → the audit dataset of its last attempt."""


def begin_attempt(settings: Settings, end: date) -> str:
    """An audit dataset of its own for each build."""
    BUILT[end] = RunWindow.whole(settings, end, end).new_attempt(settings, "").audit_dataset
    warehouse_of(settings).ensure_dataset(BUILT[end])
    return BUILT[end]


def publish(
    settings: Settings, start: date, end: date, as_of: date, marts: list[PublishedMart]
) -> Publication:
    """Publish the last attempt, which the gate has let through."""
    window = RunWindow.whole(settings, start, end, as_of).model_copy(update={"audit_dataset": BUILT[end]})
    let_through(settings, window, marts)
    return publishing.publish(settings, window, marts)


def schema(mart: PublishedMart, *more: bigquery.SchemaField) -> list[bigquery.SchemaField]:
    return [
        bigquery.SchemaField(mart.day_column, "DATE", description="The day."),
        bigquery.SchemaField("known", "STRING", description="What was known."),
        *more,
    ]


def build(
    settings: Settings, start: date, end: date, known: str, empty: frozenset[date] = frozenset()
) -> None:
    """Audit tables as a build of [start, end] leaves them: a row per mart and day."""
    warehouse = warehouse_of(settings)
    audit = begin_attempt(settings, end)
    for mart in MARTS:
        first = start - timedelta(days=mart.restates_days)
        days = [first + timedelta(days=n) for n in range((end - first).days + 1)]
        table = f"{settings.project_id}.{audit}.{mart.name}"
        warehouse.ensure_table(
            table,
            schema(mart),
            partition_field=mart.day_column,
            clustering=["known"],
            description="audit",
        )
        values = ", ".join(f"(date '{day}', '{known}')" for day in days if day not in empty)
        warehouse.run(f"delete from `{table}` where true; insert into `{table}` values {values};")


def rows(settings: Settings, mart: PublishedMart) -> list[tuple[Any, ...]]:
    found = warehouse_of(settings).read_arrow(f"{settings.project_id}.marts.{mart.name}")
    return sorted(tuple(row.values()) for batch in found for row in batch.to_pylist())


def publications(settings: Settings) -> list[tuple[Any, ...]]:
    sql = (
        "select mart, partition_date, row_count, as_of_date, run_date, is_final "
        f"from `{settings.project_id}.ops.publications` order by mart, partition_date, published_at"
    )
    return [tuple(row.values()) for row in warehouse_of(settings).run(sql)]


def test_every_day_of_every_mart_is_published_and_recorded(settings: Settings) -> None:
    build(settings, D2, D3, "x", empty=frozenset([D2]))
    publication = publish(settings, D2, D3, D3, MARTS)
    assert rows(settings, DAILY) == [(D3, "x")]
    assert rows(settings, JOURNEY) == [(date(2026, 2, 28), "x"), (D1, "x"), (D3, "x")]
    assert publications(settings) == [
        ("fct_daily", D2, 0, D3, D3, False),
        ("fct_daily", D3, 1, D3, D3, False),
        ("fct_journey", date(2026, 2, 28), 1, D3, D3, False),
        ("fct_journey", D1, 1, D3, D3, False),
        ("fct_journey", D2, 0, D3, D3, False),
        ("fct_journey", D3, 1, D3, D3, False),
    ]
    assert publication.rows == {(mart, day): count for mart, day, count, *_ in publications(settings)}
    assert publication.skipped == 0


def test_a_published_table_takes_over_partitions_clustering_and_descriptions(settings: Settings) -> None:
    build(settings, D2, D2, "x")
    publish(settings, D2, D2, D2, MARTS)
    table = warehouse_of(settings).find_table(f"{settings.project_id}.marts.fct_daily")
    assert table is not None
    assert table.time_partitioning.field == "snapshot_date"
    assert table.clustering_fields == ["known"]
    assert table.description == "A row per day."
    assert [field.description for field in table.schema] == ["The day.", "What was known."]


def test_publishing_again_gives_the_same_rows(settings: Settings) -> None:
    build(settings, D1, D3, "x")
    publish(settings, D1, D3, D3, MARTS)
    once = rows(settings, DAILY), rows(settings, JOURNEY)
    build(settings, D1, D3, "x")
    publish(settings, D1, D3, D3, MARTS)
    assert (rows(settings, DAILY), rows(settings, JOURNEY)) == once


RUNS = {"r1": (D1, D3, D3), "r2": (D2, D4, D4), "r3": (D4, D5, D5)}


@pytest.mark.parametrize("order", list(itertools.permutations(RUNS)), ids="-".join)
def test_overlapping_runs_end_the_same_in_any_order(settings: Settings, order: tuple[str, ...]) -> None:
    for name in order:
        start, end, as_of = RUNS[name]
        build(settings, start, end, name)
        publish(settings, start, end, as_of, MARTS)
    assert rows(settings, DAILY) == [(D1, "r1"), (D2, "r2"), (D3, "r2"), (D4, "r3"), (D5, "r3")]
    assert rows(settings, JOURNEY) == [
        (date(2026, 2, 27), "r1"),
        (date(2026, 2, 28), "r2"),
        (D1, "r2"),
        (D2, "r3"),
        (D3, "r3"),
        (D4, "r3"),
        (D5, "r3"),
    ]


def test_newer_knowledge_that_appears_meanwhile_is_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(settings, D1, D4, "newer")
    publish(settings, D1, D4, D4, MARTS)
    build(settings, D1, D3, "older")
    look = publishing._earlier_publications
    looks: list[int] = []

    def look_too_early(*arguments: Any) -> dict[tuple[str, date], bool]:
        looks.append(1)
        return {} if len(looks) == 1 else look(*arguments)

    monkeypatch.setattr(publishing, "_earlier_publications", look_too_early)
    publication = publish(settings, D1, D3, D3, MARTS)
    assert len(looks) == 2
    assert (publication.rows, publication.skipped) == ({}, 8)
    assert {known for _, known in rows(settings, DAILY)} == {"newer"}


def test_who_publishes_last_is_recorded_last_whoever_came_in_between(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are those that stay: its record has to be the one that later runs go by."""
    ledger_time, moments = publishing.ledger_time, list[datetime]()

    def overtaken(warehouse: Warehouse) -> datetime:
        """The first time another publication takes a moment as well, and commits before this one."""
        moments.append(ledger_time(warehouse))
        if len(moments) == 1:
            other = {"run_date": D1, "partition_date": D1, "mart": DAILY.name, "publication_id": "other"}
            append_rows(
                warehouse,
                "publications",
                [other | {"as_of_date": D1, "published_at": ledger_time(warehouse)}],
            )
        return moments[-1]

    build(settings, D1, D1, "x")
    monkeypatch.setattr(publishing, "ledger_time", overtaken)
    publication = publish(settings, D1, D1, D1, [DAILY])

    found = warehouse_of(settings).run("select publication_id from ops.publications order by published_at")
    assert [row.publication_id for row in found] == ["other", publication.publication_id]


def test_a_failing_mart_leaves_all_marts_as_they_were(settings: Settings) -> None:
    build(settings, D1, D2, "before")
    publish(settings, D1, D2, D2, MARTS)
    warehouse = warehouse_of(settings)
    published = f"{settings.project_id}.marts.fct_journey"
    warehouse.drop_table(published)
    # Nothing can be deleted from a view; the daily mart comes before it.
    warehouse.run(f"create view `{published}` as select date '{D1}' as journey_date, 'never' as known")
    before = rows(settings, DAILY), publications(settings)
    build(settings, D1, D2, "after")
    with pytest.raises(WarehouseError, match="Can only delete from base table"):
        publish(settings, D1, D2, D2, MARTS)
    assert (rows(settings, DAILY), publications(settings)) == before


def test_a_mart_that_was_not_built_is_named_and_nothing_is_published(settings: Settings) -> None:
    build(settings, D1, D1, "x")
    ghost = PublishedMart("fct_ghost", "snapshot_date", 0, "")
    publish(settings, D1, D1, D1, MARTS)
    before = publications(settings)
    build(settings, D1, D1, "x")
    with pytest.raises(NotBuiltError, match="fct_ghost was not built"):
        publish(settings, D1, D1, D1, [*MARTS, ghost])
    assert publications(settings) == before


def test_a_new_column_widens_the_published_table(settings: Settings) -> None:
    build(settings, D1, D1, "x")
    publish(settings, D1, D1, D1, MARTS)
    build(settings, D2, D2, "y")
    audit = f"{settings.project_id}.{BUILT[D2]}"
    warehouse = warehouse_of(settings)
    warehouse.client.delete_table(f"{audit}.fct_daily")
    warehouse.ensure_table(f"{audit}.fct_daily", schema(DAILY, bigquery.SchemaField("seats", "INTEGER")))
    warehouse.run(f"insert into `{audit}.fct_daily` values (date '{D2}', 'y', 3)")
    publish(settings, D2, D2, D2, MARTS)
    assert rows(settings, DAILY) == [(D1, "x", None), (D2, "y", 3)]


def test_a_changed_column_is_named_and_nothing_is_published(settings: Settings) -> None:
    build(settings, D1, D1, "x")
    publish(settings, D1, D1, D1, MARTS)
    build(settings, D2, D2, "y")
    audit = f"{settings.project_id}.{BUILT[D2]}"
    warehouse = warehouse_of(settings)
    warehouse.client.delete_table(f"{audit}.fct_daily")
    changed = [schema(DAILY)[0], bigquery.SchemaField("known", "INTEGER")]
    warehouse.ensure_table(f"{audit}.fct_daily", changed)
    with pytest.raises(PublishError, match=r"fct_daily: column known is STRING, this code writes INTEGER"):
        publish(settings, D2, D2, D2, MARTS)
    assert rows(settings, DAILY) == [(D1, "x")]
    build(settings, D2, D2, "y")
    publish(settings, D2, D2, D2, MARTS)
    assert rows(settings, DAILY) == [(D1, "x"), (D2, "y")]


def test_a_column_that_is_meant_to_change_gets_a_new_name_and_the_old_one_is_null_from_then_on(
    settings: Settings,
) -> None:
    build(settings, D1, D1, "x")
    publish(settings, D1, D1, D1, [DAILY])
    day, warehouse = schema(DAILY)[0], warehouse_of(settings)

    def rebuild(*columns: bigquery.SchemaField) -> None:
        table = f"{settings.project_id}.{begin_attempt(settings, D2)}.fct_daily"
        warehouse.ensure_table(table, [day, *columns])
        warehouse.run(f"insert into `{table}` values (date '{D2}', 3)")

    rebuild(bigquery.SchemaField("known", "INTEGER"))
    with pytest.raises(PublishError, match="column known is STRING, this code writes INTEGER"):
        publish(settings, D2, D2, D2, [DAILY])

    rebuild(bigquery.SchemaField("times_known", "INTEGER"))
    publish(settings, D2, D2, D2, [DAILY])
    assert rows(settings, DAILY) == [(D1, "x", None), (D2, None, 3)]


def test_a_day_is_final_once_no_late_event_can_reach_it(settings: Settings) -> None:
    first = D5 - timedelta(days=settings.restatement_days)
    build(settings, first, D5, "x")
    publish(settings, first, D5, D5, [DAILY])
    final = [day for _, day, _, _, _, is_final in publications(settings) if is_final]
    assert final == [first]


def test_published_marts_are_read_from_the_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"

    def node(name: str, description: str = "", day_column: str = "", **meta: object) -> dict[str, object]:
        config = {"meta": meta, "partition_by": {"field": day_column} if day_column else None}
        about = {"name": name, "description": description, "columns": {}, "config": config}
        about["fqn"] = ["segue", "marts", "any", name]
        return {"resource_type": "model", **about}

    models = [
        node("b", "B.", "day", published="days", restates_days=45, measures=["amount"]),
        node("a", "", "snapshot_date", published="days"),
        node("c", published="whole"),
        node("stg"),
    ]
    nodes = {f"model.segue.{each['name']}": each for each in models}
    parents: dict[str, list[str]] = {key: [] for key in nodes}
    nodes["test.segue.t"] = {"resource_type": "test", "name": "t"}
    nothing: dict[str, object] = {"sources": {}, "groups": {}, "exposures": {}}
    manifest.write_text(json.dumps({"nodes": nodes, "parent_map": parents, **nothing}))
    assert published_marts(manifest) == [
        PublishedMart("a", "snapshot_date", 0, ""),
        PublishedMart("b", "day", 45, "B.", measures=("amount",)),
        PublishedMart("c", "", 0, "", kind="whole"),
    ]


AMOUNTS = PublishedMart("fct_amounts", "snapshot_date", 0, "Amounts.", measures=("amount",))


def build_amounts(settings: Settings, end: date, *amounts: tuple[date, str]) -> None:
    """The audit table of a run that ends on ``end``: a row of an amount for each pair."""
    warehouse = warehouse_of(settings)
    table = f"{settings.project_id}.{begin_attempt(settings, end)}.fct_amounts"
    rows = ", ".join(f"(date '{day}', 'x', cast('{amount}' as numeric))" for day, amount in amounts)
    amount_field = bigquery.SchemaField("amount", "NUMERIC", description="An amount.")
    warehouse.ensure_table(table, schema(AMOUNTS, amount_field), partition_field="snapshot_date")
    warehouse.run(f"delete from `{table}` where true")
    warehouse.run(f"insert into `{table}` (snapshot_date, known, amount) values {rows}")


def restatements(settings: Settings) -> list[tuple[Any, ...]]:
    found = warehouse_of(settings).run(
        "select run_date, partition_date, measure, value_before, value_after, `change` "
        f"from `{settings.project_id}.ops.restatements` order by partition_date, measure",
    )
    return [(*row.values()[:3], *(f"{value:.2f}" for value in row.values()[3:])) for row in found]


def test_what_a_restatement_changes_is_recorded_by_day_and_measure(settings: Settings) -> None:
    build_amounts(settings, D2, (D1, "10"), (D2, "5"))
    publish(settings, D1, D2, D2, [AMOUNTS])
    assert restatements(settings) == []

    # Late events add a row to the first day; the second stays; the third is new and restates nothing.
    build_amounts(settings, D3, (D1, "10"), (D1, "2.50"), (D2, "5"), (D3, "7"))
    publish(settings, D1, D3, D3, [AMOUNTS])
    assert restatements(settings) == [
        (D3, D1, "amount", "10.00", "12.50", "2.50"),
        (D3, D1, "rows", "1.00", "2.00", "1.00"),
    ]


def test_a_run_that_changes_nothing_restates_nothing(settings: Settings) -> None:
    build_amounts(settings, D2, (D1, "10"), (D2, "5"))
    publish(settings, D1, D2, D2, [AMOUNTS])
    build_amounts(settings, D2, (D1, "10"), (D2, "5"))
    publish(settings, D1, D2, D2, [AMOUNTS])

    assert restatements(settings) == []
