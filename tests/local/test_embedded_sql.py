"""The embedded BigQuery means by its SQL what GoogleSQL does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from loaders.warehouse.client import Warehouse, warehouse_of
from segue.settings import Settings

DAYS = (
    "(select date '2026-03-04' as d union all select date '2026-03-08' as d union all "
    "select date '2026-04-01' as d)"
)


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    return warehouse_of(world("sql"))


def answer(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in warehouse.run(sql)]


@pytest.mark.parametrize(
    ("part", "starts"),
    [
        ("month", [date(2026, 3, 1), date(2026, 3, 1), date(2026, 4, 1)]),
        ("year", [date(2026, 1, 1)] * 3),
        ("week", [date(2026, 3, 1), date(2026, 3, 8), date(2026, 3, 29)]),
        ("week(monday)", [date(2026, 3, 2), date(2026, 3, 2), date(2026, 3, 30)]),
        ("isoweek", [date(2026, 3, 2), date(2026, 3, 2), date(2026, 3, 30)]),
    ],
)
def test_a_truncated_date_is_a_date(warehouse: Warehouse, part: str, starts: list[date]) -> None:
    found = answer(warehouse, f"select date_trunc(d, {part}) as start from {DAYS} order by d")

    assert found == [(start,) for start in starts]


def test_timestamp_trunc_of_a_date_is_a_datetime(warehouse: Warehouse) -> None:
    found = answer(
        warehouse,
        f"select timestamp_trunc(d, day) as day, timestamp_trunc(d, isoweek) as week from {DAYS} "
        "where d = '2026-03-04'",
    )

    assert [tuple(map(str, row)) for row in found] == [("2026-03-04 00:00:00", "2026-03-02 00:00:00")]


def test_group_by_means_the_name_that_the_select_list_gives(warehouse: Warehouse) -> None:
    """Not the column that is called so too."""
    found = answer(
        warehouse, f"select date_trunc(d, month) as d, count(*) as days from {DAYS} group by d order by d"
    )

    assert found == [(date(2026, 3, 1), 2), (date(2026, 4, 1), 1)]


def test_a_name_of_the_select_list_is_not_ambiguous(warehouse: Warehouse) -> None:
    found = answer(
        warehouse,
        f"select a.d as d, count(*) as days from {DAYS} as a inner join {DAYS} as b on a.d = b.d "
        "group by d order by d limit 1",
    )

    assert found == [(date(2026, 3, 4), 1)]


def test_a_dry_run_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.ensure_dataset("d")

    told = warehouse.dry_run("select 1; create table d.t as select 1 as n")

    assert told.statement_type == "SCRIPT"
    assert warehouse.table_names("d") == set()
