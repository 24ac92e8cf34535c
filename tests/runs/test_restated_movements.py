"""Every published day follows from the day before it: close, plus movements, is the next close."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from google.cloud import bigquery

from loaders.warehouse.client import warehouse_of
from runs.publish import publish
from runs.published import PublishedMart
from runs.restated_movements import CLOSES, MOVEMENTS, following_days
from segue.settings import Settings
from segue.window import RunWindow
from tests.judged import let_through

MARTS = [
    PublishedMart(CLOSES, "snapshot_date", 0, "Closes."),
    PublishedMart(MOVEMENTS, "snapshot_date", 0, "Movements.", measures=("mrr_usd_amount",)),
]
CELL = ("market", "plan_kind", "provider", "currency")
D1, D2, D3, D4, D5 = (date(2026, 3, n) for n in (1, 2, 3, 4, 5))
DAY = timedelta(days=1)

Known = Mapping[date, Mapping[str, int]]
"""The closes as a run knows them: day → market → MRR, from the day before its first on."""


@pytest.fixture(scope="module")
def project(world: Callable[..., Settings]) -> Settings:
    return world("restated")


@pytest.fixture
def settings(project: Settings) -> Settings:
    """Nothing is published before a test."""
    warehouse = warehouse_of(project)
    for name in warehouse.table_names(project.marts_dataset):
        warehouse.run(f"delete from marts.{name} where true")
    for name in warehouse.table_names(project.ops_dataset):
        warehouse.run(f"delete from ops.{name} where true")
    return project


def field(name: str, kind: str) -> bigquery.SchemaField:
    return bigquery.SchemaField(name, kind)


AMOUNTS = [field("mrr_amount", "NUMERIC"), field("mrr_usd_amount", "NUMERIC")]
COLUMNS = {
    CLOSES: [field("snapshot_date", "DATE"), *(field(name, "STRING") for name in CELL), *AMOUNTS],
    MOVEMENTS: [
        field("snapshot_date", "DATE"),
        *(field(name, "STRING") for name in ("movement", "churn_reason", "movement_reason", *CELL)),
        field("accounts", "INT64"),
        *AMOUNTS,
    ],
}


def run(settings: Settings, start: date, end: date, as_of: date, known: Known) -> None:
    """Publish [start, end] as a run builds it that knows these closes: each day moved from the one before."""
    warehouse = warehouse_of(settings)
    window = RunWindow.whole(settings, start, end, as_of).new_attempt(settings, "")
    warehouse.ensure_dataset(window.audit_dataset)
    closes, moves = [], []
    for number in range((end - start).days + 1):
        day = start + DAY * number
        for market in sorted({*known[day], *known[day - DAY]}):
            cell = f"'{market}', 'individual', 'stripe', null"
            close = known[day].get(market, 0)
            change = close - known[day - DAY].get(market, 0)
            closes.append(f"(date '{day}', {cell}, cast({close} as numeric), cast({close * 2} as numeric))")
            if change:
                moves.append(
                    f"(date '{day}', 'none', null, null, {cell}, 1, cast({change} as numeric), "
                    f"cast({change * 2} as numeric))"
                )
    for name, rows in ((CLOSES, closes), (MOVEMENTS, moves)):
        table = f"{settings.project_id}.{window.audit_dataset}.{name}"
        warehouse.ensure_table(table, COLUMNS[name], partition_field="snapshot_date")
        if rows:
            warehouse.run(f"insert into `{table}` values {', '.join(rows)}")
    let_through(settings, window, MARTS)
    publish(settings, window, MARTS)


def movements(settings: Settings, where: str = "true") -> list[tuple[date, str, str, int, int]]:
    found = warehouse_of(settings).run(
        "select snapshot_date, movement, market, cast(mrr_amount as int64) as mrr, "
        f"cast(mrr_usd_amount as int64) as usd from marts.{MOVEMENTS} where {where} order by 1, 2, 3"
    )
    return [tuple(row.values()) for row in found]


def restated(settings: Settings) -> list[tuple[date, str, str, int, int]]:
    return movements(settings, "movement = 'restated'")


def broken(settings: Settings) -> list[tuple[Any, ...]]:
    """Published days whose close is not the close before plus the movements, in a cell."""
    found = warehouse_of(settings).run(
        f"""with days as (
            select distinct partition_date as day from ops.publications where mart = '{CLOSES}'
        ), changes as (
            select snapshot_date as day, market, mrr_amount, mrr_usd_amount from marts.{CLOSES}
            union all
            select date_add(snapshot_date, interval 1 day), market, -mrr_amount, -mrr_usd_amount
            from marts.{CLOSES}
            union all
            select snapshot_date, market, -mrr_amount, -mrr_usd_amount from marts.{MOVEMENTS}
        )
        select day, market from changes
        where day in (select day from days) and date_sub(day, interval 1 day) in (select day from days)
        group by day, market having sum(mrr_amount) <> 0 or sum(mrr_usd_amount) <> 0"""
    )
    return [tuple(row.values()) for row in found]


def test_the_days_that_have_to_follow_are_those_published_and_the_one_after_them() -> None:
    assert following_days([D2, D3], []) == [D3]
    assert following_days([D2, D3], [D1]) == [D2, D3]
    assert following_days([D2, D3], [D1, D4]) == [D2, D3, D4]
    assert following_days([D2], [D4]) == []
    assert following_days([D5], [D1, D4, D5]) == [D5]


FLAT = {D1 - DAY: {}, D1: {"SE": 10}, D2: {"SE": 10}, D3: {"SE": 10}, D4: {"SE": 10}, D5: {"SE": 10}}
ENDED = FLAT | {day: {"SE": 0} for day in (D2, D3, D4, D5)}
"""Known on the fifth: it had ended on the second."""
MOVED = FLAT | {day: {"NO": 10} for day in (D1, D2, D3, D4, D5)}
"""Known on the fifth: all of it was in another market."""


def test_what_is_known_as_it_was_published_restates_nothing(settings: Settings) -> None:
    run(settings, D1, D3, D3, FLAT)
    run(settings, D4, D4, D4, FLAT)

    assert movements(settings) == [(D1, "none", "SE", 10, 20)]
    assert broken(settings) == []


def test_what_arrives_too_late_for_the_published_days_is_a_movement_of_the_first_restated_day(
    settings: Settings,
) -> None:
    run(settings, D1, D4, D4, FLAT)
    run(settings, D4, D5, D5, ENDED)

    assert restated(settings) == [(D4, "restated", "SE", -10, -20)]
    assert broken(settings) == []
    told = warehouse_of(settings).run(
        "select partition_date, measure, cast(value_before as int64) as was, "
        "cast(value_after as int64) as becomes from ops.restatements where measure like 'restated_%'"
    )
    assert [tuple(row.values()) for row in told] == [(D4, "restated_mrr_usd_amount", 0, -20)]


def test_it_is_a_movement_of_the_cells_that_were_left_and_entered(settings: Settings) -> None:
    run(settings, D1, D4, D4, FLAT)
    run(settings, D5, D5, D5, MOVED)

    assert restated(settings) == [(D5, "restated", "NO", 10, 20), (D5, "restated", "SE", -10, -20)]
    assert broken(settings) == []


def test_an_old_day_that_is_built_again_is_followed_by_the_day_after_it(settings: Settings) -> None:
    run(settings, D1, D5, D4, FLAT)
    run(settings, D2, D2, D5, ENDED)

    assert restated(settings) == [(D3, "restated", "SE", 10, 20)]
    assert broken(settings) == []

    # The rest is built as well: nothing is left that had to be bridged.
    run(settings, D3, D5, D5, ENDED)

    assert restated(settings) == []
    assert broken(settings) == []


def test_late_events_that_arrive_on_different_days_are_each_told_where_the_series_knows_more(
    settings: Settings,
) -> None:
    fewer = ENDED | {day: {"SE": 4} for day in (D2, D3, D4, D5)}
    run(settings, D1, D3, D3, FLAT)
    run(settings, D4, D4, D4, fewer)
    run(settings, D5, D5, D5, ENDED)

    assert restated(settings) == [(D4, "restated", "SE", -6, -12), (D5, "restated", "SE", -4, -8)]
    assert broken(settings) == []


def test_a_run_again_gives_the_same_rows(settings: Settings) -> None:
    run(settings, D1, D4, D4, FLAT)
    run(settings, D4, D5, D5, ENDED)
    once = movements(settings)
    run(settings, D4, D5, D5, ENDED)

    assert movements(settings) == once


RUNS: dict[str, tuple[date, date, date, Known]] = {
    "early": (D1, D3, D3, FLAT),
    "middle": (D2, D4, D4, MOVED),
    "late": (D4, D5, D5, ENDED),
}


def test_runs_that_overlap_or_go_backwards_end_the_same(settings: Settings) -> None:
    ends = []
    for order in itertools.permutations(RUNS.values()):
        for name in (f"marts.{CLOSES}", f"marts.{MOVEMENTS}", "ops.publications"):
            dataset, table = name.split(".")
            if table in warehouse_of(settings).table_names(dataset):
                warehouse_of(settings).run(f"delete from {name} where true")
        for start, end, as_of, known in order:
            run(settings, start, end, as_of, known)
        assert broken(settings) == []
        ends.append(movements(settings))

    assert restated(settings) == [
        (D2, "restated", "NO", 10, 20),
        (D2, "restated", "SE", -10, -20),
        (D4, "restated", "NO", -10, -20),
    ]
    assert all(each == ends[0] for each in ends)
