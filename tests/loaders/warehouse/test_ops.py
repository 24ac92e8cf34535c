"""Operational tables say which run has written a row, also those that are older than the column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import (
    OPS_TABLES,
    RUN_ID,
    append_rows,
    ensure_ops_tables,
    insert_rows,
    ops_schema,
    ops_table,
    this_run,
)
from segue.logs import lines_of
from segue.settings import Settings

DAY = date(2026, 3, 2)
RUN = "scheduled__2026-03-03T00:00:00+00:00"


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    warehouse = warehouse_of(world("ops"))
    ensure_ops_tables(warehouse)
    return warehouse


def runs_in(warehouse: Warehouse, table: str) -> list[str | None]:
    rows = warehouse.run(f"select run_id from `{ops_table(warehouse.settings, table)}` order by run_id")
    return [row.run_id for row in rows]


def test_all_operational_tables_are_there(warehouse: Warehouse) -> None:
    assert warehouse.table_names(warehouse.settings.ops_dataset) == set(OPS_TABLES)


@pytest.mark.parametrize("table", sorted(OPS_TABLES))
def test_a_row_names_the_run_that_wrote_it_or_none(warehouse: Warehouse, table: str) -> None:
    row = {"run_date": DAY}
    append_rows(warehouse, table, [row])
    with lines_of(RUN, DAY, "land"):
        append_rows(warehouse, table, [row])

    assert runs_in(warehouse, table) == [None, RUN]


def test_so_does_one_that_a_statement_writes(world: Callable[..., Settings]) -> None:
    warehouse = warehouse_of(world("ops-statements"))
    nothing = {column.name: None for column in ops_schema("incidents") if column is not RUN_ID}
    with lines_of(RUN, DAY, "build"):
        insert_rows(warehouse, "incidents", [nothing | {"run_date": DAY}])
        assert this_run() == f'cast("{RUN}" as string)'

    assert runs_in(warehouse, "incidents") == [RUN]
    assert this_run() == "cast(null as string)"


def test_a_table_from_before_there_was_the_column_gets_it_and_keeps_its_rows(
    world: Callable[..., Settings],
) -> None:
    warehouse = warehouse_of(world("ops-before"))
    warehouse.ensure_dataset(warehouse.settings.ops_dataset)
    table = ops_table(warehouse.settings, "corrections")
    warehouse.run(
        f"create table `{table}` partition by run_date as "
        "select date '2026-03-01' as run_date, 'payments' as table_name"
    )
    with lines_of(RUN, DAY, "land"):
        append_rows(warehouse, "corrections", [{"run_date": DAY, "table_name": "payments"}])

    assert runs_in(warehouse, "corrections") == [None, RUN]
