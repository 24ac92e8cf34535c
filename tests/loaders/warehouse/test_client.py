"""What is tried again, what is not, and what an existing table may be turned into."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, ServiceUnavailable
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, WarehouseError, is_transient, warehouse_of
from loaders.warehouse.ops import append_rows, ensure_ops_tables, literal
from segue.settings import Settings


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    return world("client")


@pytest.fixture(scope="module")
def warehouse(settings: Settings) -> Warehouse:
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset("d")
    return warehouse


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (BadRequest("Transaction is aborted due to concurrent update against table x"), True),
        (ServiceUnavailable("later", errors=[{"reason": "jobBackendError"}]), True),
        (Forbidden("too many", errors=[{"reason": "jobRateLimitExceeded"}]), True),
        (Forbidden("not you", errors=[{"reason": "accessDenied"}]), False),
        (BadRequest("Syntax error at [1:1]"), False),
    ],
)
def test_only_a_job_that_failed_by_no_fault_of_its_own_is_sent_anew(error: Exception, again: bool) -> None:
    assert is_transient(error) is again


def test_a_broken_statement_fails_at_once_with_its_reason_on_one_line(warehouse: Warehouse) -> None:
    started = time.monotonic()
    with pytest.raises(WarehouseError) as error:
        warehouse.run("select nonsense from `d.nowhere`")
    assert time.monotonic() - started < 5
    assert "nowhere" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_script_that_fails_changes_nothing(warehouse: Warehouse) -> None:
    table = f"{warehouse.settings.project_id}.d.kept"
    warehouse.ensure_table(table, [bigquery.SchemaField("n", "INTEGER")])
    warehouse.run(f"insert into `{table}` values (1)")
    with pytest.raises(WarehouseError, match="stop here"):
        warehouse.run(
            f"begin transaction; delete from `{table}` where true; "
            "select if(true, error('stop here'), 1); commit transaction;",
        )
    assert warehouse.fetch_arrow(f"select n from `{table}`").to_pylist() == [{"n": 1}]


def test_a_table_is_read_in_part_over_the_storage_api(warehouse: Warehouse) -> None:
    table = f"{warehouse.settings.project_id}.d.parts"
    fields = [bigquery.SchemaField("day", "DATE"), bigquery.SchemaField("n", "INTEGER")]
    warehouse.ensure_table(table, fields, partition_field="day")
    warehouse.run(f"insert into `{table}` values (date '2026-03-01', 1), (date '2026-03-02', 2)")
    batches = warehouse.read_arrow(table, columns=["n"], row_restriction="day = '2026-03-02'")
    assert [row for batch in batches for row in batch.to_pylist()] == [{"n": 2}]


def test_who_reads_at_the_same_time_reads_what_it_asked_for(warehouse: Warehouse) -> None:
    """What the service does, and the emulator by itself does not."""
    tables = {n: warehouse.table("d", f"beside_{n}") for n in range(4)}
    for n, table in tables.items():
        warehouse.run(f"create table `{table}` as select {n} as n from unnest(generate_array(1, 2000))")
    schema = [bigquery.SchemaField("n", "INTEGER")]

    def read(n: int) -> set[int]:
        client = Warehouse(warehouse.settings).client
        return {row.n for _ in range(15) for row in client.list_rows(tables[n], selected_fields=schema)}

    with ThreadPoolExecutor(len(tables)) as pool:
        assert list(pool.map(read, tables)) == [{n} for n in tables]


def test_a_table_is_widened_and_never_bent(warehouse: Warehouse) -> None:
    table = f"{warehouse.settings.project_id}.d.wide"
    a = bigquery.SchemaField("a", "STRING")
    b = bigquery.SchemaField("b", "NUMERIC", description="exact")
    warehouse.ensure_table(table, [a], description="first")
    warehouse.ensure_table(table, [a, b])
    existing = warehouse.find_table(table)
    assert existing is not None
    assert [(field.name, field.description) for field in existing.schema] == [("a", None), ("b", "exact")]
    warehouse.run(f"insert into `{table}` values ('x', cast('0.123456789' as numeric(38, 9)))")
    assert warehouse.fetch_arrow(f"select b from `{table}`").to_pylist() == [{"b": Decimal("0.123456789")}]
    with pytest.raises(WarehouseError, match="column a is STRING, this code writes INTEGER"):
        warehouse.ensure_table(table, [bigquery.SchemaField("a", "INTEGER"), b])
    with pytest.raises(WarehouseError, match="new column c must be nullable"):
        warehouse.ensure_table(table, [a, b, bigquery.SchemaField("c", "STRING", mode="REQUIRED")])

    # Its name is free: the embedded BigQuery renames no table, so it is copied.
    warehouse.run(f"create table `{table}_before` as select * from `{table}`")
    warehouse.drop_table(table)
    warehouse.ensure_table(table, [bigquery.SchemaField("a", "INTEGER"), b])
    assert [field.field_type for field in warehouse.columns(table)] == ["INTEGER", "NUMERIC"]


def test_a_number_may_get_more_decimal_places_and_keeps_what_it_was(warehouse: Warehouse) -> None:
    table = f"{warehouse.settings.project_id}.d.finer"
    warehouse.ensure_table(table, [bigquery.SchemaField("rate", "NUMERIC", precision=38, scale=9)])
    warehouse.run(f"insert into `{table}` values (cast('0.123456789' as numeric(38, 9)))")

    warehouse.ensure_table(table, [bigquery.SchemaField("rate", "BIGNUMERIC")])
    warehouse.ensure_table(table, [bigquery.SchemaField("rate", "BIGNUMERIC")])

    warehouse.run(f"insert into `{table}` values (cast('0.000037950664' as bignumeric))")
    assert [row.rate for row in warehouse.run(f"select rate from `{table}` order by 1")] == [
        Decimal("0.000037950664"),
        Decimal("0.123456789"),
    ]
    assert [field.field_type for field in warehouse.columns(table)] == ["BIGNUMERIC"]


def test_a_table_that_bigquery_describes_in_its_legacy_names_is_the_same(warehouse: Warehouse) -> None:
    """tables.get says INTEGER, BOOLEAN, FLOAT whatever the table was created with."""
    table = f"{warehouse.settings.project_id}.d.legacy"
    warehouse.ensure_table(
        table, [bigquery.SchemaField("n", "INTEGER"), bigquery.SchemaField("f", "BOOLEAN")]
    )
    warehouse.ensure_table(table, [bigquery.SchemaField("n", "INT64"), bigquery.SchemaField("f", "BOOL")])


def test_rows_that_are_appended_cost_no_look_at_other_operational_tables(
    world: Callable[..., Settings],
) -> None:
    warehouse = warehouse_of(world("append"))

    append_rows(warehouse, "dead_letters", [{"run_date": date(2026, 3, 1), "account_id": "a1"}])

    assert [table.table_id for table in warehouse.tables("ops")] == ["dead_letters"]
    assert [row.account_id for row in warehouse.run("select account_id from ops.dead_letters")] == ["a1"]


def test_operational_tables_are_made_once(warehouse: Warehouse) -> None:
    ensure_ops_tables(warehouse)
    ensure_ops_tables(warehouse)
    names = {table.table_id for table in warehouse.tables("ops")}
    assert names == {
        "run_ledger",
        "validation_results",
        "corrections",
        "dead_letters",
        "erasures",
        "incidents",
        "model_builds",
        "model_measures",
        "model_registry",
        "publications",
        "restatements",
        "run_steps",
        "score_contributions",
        "verdicts",
    }


@pytest.mark.parametrize("text", ['say "no"', "it's", "back\\slash", "line\nbreak", "ÀÉ€ 🎵", ""])
def test_any_text_survives_as_a_literal(warehouse: Warehouse, text: str) -> None:
    assert warehouse.fetch_arrow(f"select {literal(text)} as t").to_pylist() == [{"t": text}]
