"""What the embedded BigQuery does once or not at all changes none of its answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from segue.settings import Settings


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    warehouse = warehouse_of(world("shortcuts"))
    for dataset in ("one", "other", "day_20260101", "day_20260102"):
        warehouse.ensure_dataset(dataset)
        warehouse.run(
            f"create or replace table `{warehouse.settings.project_id}.{dataset}.visits` as "
            f"select '{dataset}' as place, day from unnest([date '2026-01-01', date '2026-01-02']) as day"
        )
    return warehouse


def rows(warehouse: Warehouse, sql: str) -> list[Any]:
    return [tuple(row.values()) for row in warehouse.run(sql)]


def test_statements_that_differ_in_their_days_and_datasets_have_answers_of_their_own(
    warehouse: Warehouse,
) -> None:
    project = warehouse.settings.project_id
    statement = "select place, cast(day as string) from `{}.visits` where day = date '{}'"

    found = {
        (place, day): rows(warehouse, statement.format(dataset, day))
        for place in ("day_20260101", "day_20260102")
        for dataset in (place, f"{project}.{place}")
        for day in ("2026-01-01", "2026-01-02", "2026-01-03")
    }

    assert found == {
        ("day_20260101", "2026-01-01"): [("day_20260101", "2026-01-01")],
        ("day_20260101", "2026-01-02"): [("day_20260101", "2026-01-02")],
        ("day_20260101", "2026-01-03"): [],
        ("day_20260102", "2026-01-01"): [("day_20260102", "2026-01-01")],
        ("day_20260102", "2026-01-02"): [("day_20260102", "2026-01-02")],
        ("day_20260102", "2026-01-03"): [],
    }


def test_days_and_instants_are_kept_whatever_they_are(warehouse: Warehouse) -> None:
    statement = """
        select '{day}', "{day}", date '{day}' = date '{day}', date '{day}' < date '{later}',
            cast(timestamp '{later}T10:11:12.345678+00:00' as string), '[\\'{day}\\']'
    """

    answers = [
        rows(warehouse, statement.format(day=day, later=later))
        for day, later in (("2026-01-01", "2026-01-02"), ("9000-01-02", "9000-01-03"))
    ]

    assert answers == [
        [("2026-01-01", "2026-01-01", True, True, "2026-01-02 10:11:12.345678+00", "['2026-01-01']")],
        [("9000-01-02", "9000-01-02", True, True, "9000-01-03 10:11:12.345678+00", "['9000-01-02']")],
    ]


def test_an_error_speaks_of_the_statement_that_was_sent(warehouse: Warehouse) -> None:
    project = warehouse.settings.project_id

    with pytest.raises(WarehouseError, match="missing_one"):
        warehouse.run(f"select * from `{project}.one.missing_one` where day = date '2026-01-01'")
    with pytest.raises(WarehouseError, match="2026-13-01"):
        warehouse.run("select date '2026-13-01'")


def test_a_transaction_that_fails_leaves_everything_as_it_was(warehouse: Warehouse) -> None:
    visits = f"`{warehouse.settings.project_id}.one.visits`"
    before = rows(warehouse, f"select place, day from {visits} order by day")

    with pytest.raises(WarehouseError, match="no further"):
        warehouse.run(f"""
            begin transaction;
            delete from {visits} where true;
            insert into {visits} (place, day) values ('nowhere', date '2026-01-09');
            select error('no further');
            commit transaction;
        """)

    assert rows(warehouse, f"select place, day from {visits} order by day") == before


def test_a_transaction_sees_what_it_has_done_and_keeps_it(warehouse: Warehouse) -> None:
    project = warehouse.settings.project_id
    warehouse.run(f"create or replace table `{project}.one.counted` as select 1 as n")

    warehouse.run(f"""
        begin transaction;
        delete from `{project}.one.counted` where true;
        insert into `{project}.one.counted` (n) select count(*) + 5 from `{project}.one.counted`;
        insert into `{project}.one.counted` (n) select max(n) + 1 from `{project}.one.counted`;
        commit transaction;
    """)

    assert rows(warehouse, f"select n from `{project}.one.counted` order by n") == [(5,), (6,)]


def test_where_a_views_query_begins_is_not_taken_from_its_options(warehouse: Warehouse) -> None:
    name = f"{warehouse.settings.project_id}.one.written"
    query = "with kept as (\n    select 1 as n -- as one\n)\n\nselect n from kept"

    warehouse.run(f"create or replace view `{name}`\noptions (description = 'n as select')\nas\n{query};")

    view = warehouse.client.get_table(name)
    assert (view.table_type, [field.name for field in view.schema]) == ("VIEW", ["n"])
    assert rows(warehouse, f"select n from `{name}`") == [(1,)]


def test_a_view_over_a_view_shows_the_rows_of_now(warehouse: Warehouse) -> None:
    project = warehouse.settings.project_id
    warehouse.run(f"create or replace table `{project}.one.base` as select 1 as n")
    warehouse.run(f"create or replace view `{project}.one.inner_view` as select n from `{project}.one.base`")
    warehouse.run(
        f"create or replace view `{project}.one.outer_view` as select n * 10 as n "
        f"from `{project}.one.inner_view`"
    )
    warehouse.run(f"insert into `{project}.one.base` (n) values (2)")

    assert rows(warehouse, f"select n from `{project}.one.outer_view` order by n") == [(10,), (20,)]


def test_row_access_policies_hold_through_views(warehouse: Warehouse) -> None:
    project = warehouse.settings.project_id
    warehouse.run(f"create or replace table `{project}.other.base` as select 1 as n")
    warehouse.run(f"create or replace view `{project}.other.seen` as select n from `{project}.other.base`")
    assert rows(warehouse, f"select n from `{project}.other.seen`") == [(1,)]

    warehouse.run(
        f"create row access policy nobody on `{project}.other.base` "
        "grant to ('user:somebody@example.com') filter using (true)"
    )

    assert rows(warehouse, f"select n from `{project}.other.seen`") == []
    warehouse.run(f"drop row access policy nobody on `{project}.other.base`")


def test_a_star_has_every_column_also_beside_what_has_to_be_translated(warehouse: Warehouse) -> None:
    offers = f"`{warehouse.settings.project_id}.one.offers`"
    warehouse.run(
        f"create or replace table {offers} as select 'a' as id, [struct(1 as n), struct(2 as n)] as o"
    )

    assert rows(
        warehouse,
        f"select countif(length > 1), (select avg(n) from unnest([1, 2]) as n) "
        f"from (select array_length(o) as length from (select * from {offers}))",
    ) == [(1, 1.5)]


def test_a_table_is_created_with_its_columns_and_filled_in_one_statement(warehouse: Warehouse) -> None:
    table = warehouse.table("one", "declared")
    warehouse.run(
        f"create or replace table `{table}` "
        "(day date, amount numeric(38, 9), o array<struct<n int64, s string>>) "
        "partition by day as (select day, amount, o from "
        "(select [struct(1 as n, 'a' as s)] as o, date '2026-01-01' as day, "
        "numeric '0.123456789' as amount) as model)"
    )

    found = warehouse.find_table(table)
    assert found is not None
    assert found.time_partitioning.field == "day"
    assert [(column.name, column.field_type, column.mode) for column in found.schema] == [
        ("day", "DATE", "NULLABLE"), ("amount", "NUMERIC", "NULLABLE"), ("o", "RECORD", "REPEATED"),
    ]  # fmt: skip
    assert rows(warehouse, f"select day, amount, o[offset(0)].s from `{table}`") == [
        (date(2026, 1, 1), Decimal("0.123456789"), "a")
    ]


def test_a_number_keeps_its_nine_decimals_and_38_digits(warehouse: Warehouse) -> None:
    table = f"`{warehouse.table('one', 'exact')}`"
    warehouse.run(f"create or replace table {table} (n numeric, pair struct<n numeric>)")
    warehouse.run(f"insert into {table} (n, pair) select numeric '0.006715', struct(numeric '0.006715' as n)")

    assert rows(
        warehouse,
        "select n, pair.n, cast('12345678901234567890.123456789' as numeric), "
        f"cast(n as numeric) * 2 from {table}",
    ) == [
        (
            Decimal("0.006715"),
            Decimal("0.006715"),
            Decimal("12345678901234567890.123456789"),
            Decimal("0.01343"),
        )
    ]


def test_a_rate_keeps_its_twelve_decimals_through_views_and_tables(warehouse: Warehouse) -> None:
    raw, view, table = (warehouse.table("one", name) for name in ("rates", "rates_daily", "rates_kept"))
    warehouse.ensure_table(raw, [bigquery.SchemaField("rate", "BIGNUMERIC")])
    warehouse.run(f"insert into `{raw}` values (cast('0.000000769231' as bignumeric))")
    warehouse.run(
        f"create or replace view `{view}` as select rate from `{raw}` "
        "union all select cast(1 as bignumeric(38, 12))"
    )
    warehouse.run(f"create or replace table `{table}` as select rate from `{view}`")

    assert rows(warehouse, f"select rate from `{table}` order by 1") == [
        (Decimal("0.000000769231"),),
        (Decimal(1),),
    ]
    for each in (raw, view, table):
        assert [field.field_type for field in warehouse.columns(each)] == ["BIGNUMERIC"]
