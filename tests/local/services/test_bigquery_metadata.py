"""The embedded BigQuery describes its tables as BigQuery does, in the views that dbt's catalogue reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings

DESCRIPTION = 'The account\'s "card", C:\\new.\nOne row each.'

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def ask(world: Callable[..., Settings]) -> Ask:
    """Queries a dataset ``wallet`` with a table of two rows, filled after it was created, and a view."""
    settings = world("metadata")
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset("wallet")

    def query(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in warehouse.run(sql)]

    query(
        "create table wallet.cards (day date, holder struct<name string, ages array<int64>>, paid numeric) "
        "partition by day"
    )
    query("insert into wallet.cards values (date '2026-03-01', null, 1), (date '2026-03-02', null, 2)")
    query("create view wallet.paid_cards as select day, paid from wallet.cards")
    table = warehouse.client.get_table(f"{settings.project_id}.wallet.cards")
    table.description = DESCRIPTION
    table.schema = [
        *(field for field in table.schema if field.name != "paid"),
        *(
            {**field.to_api_repr(), "description": DESCRIPTION}
            for field in table.schema
            if field.name == "paid"
        ),
    ]
    warehouse.client.update_table(table, ["description", "schema"])
    return query


def test_tables_of_a_dataset_tell_how_many_rows_they_hold_now(ask: Ask) -> None:
    assert ask(
        "select dataset_id, table_id, row_count, type from wallet.__TABLES__ order by table_id"
    ) == [("wallet", "cards", 2, 1), ("wallet", "paid_cards", 0, 2)]  # fmt: skip


def test_field_paths_reach_into_structs(ask: Ask) -> None:
    assert ask(
        "select column_name, field_path, data_type, description "
        "from `wallet`.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS where table_name = 'cards' order by field_path"
    ) == [
        ("day", "day", "DATE", None),
        ("holder", "holder", "STRUCT<name STRING, ages ARRAY<INT64>>", None),
        ("holder", "holder.ages", "ARRAY<INT64>", None),
        ("holder", "holder.name", "STRING", None),
        ("paid", "paid", "NUMERIC", DESCRIPTION),
    ]


def test_a_description_is_read_back_as_it_was_written(ask: Ask) -> None:
    assert ask(
        "select json_value(option_value) from wallet.INFORMATION_SCHEMA.TABLE_OPTIONS "
        "where option_name = 'description'"
    ) == [(DESCRIPTION,)]


def test_views_of_several_kinds_are_joined_by_their_column_names(ask: Ask) -> None:
    """No materialized view is there, and its columns have their names all the same."""
    assert ask("""
        select tables.table_id, columns.column_name, views.table_name
        from wallet.__TABLES__ as tables
        left join wallet.INFORMATION_SCHEMA.MATERIALIZED_VIEWS as views
            on views.table_catalog = tables.project_id and views.table_name = tables.table_id
        inner join wallet.INFORMATION_SCHEMA.COLUMNS as columns
            on columns.table_name = tables.table_id and columns.is_partitioning_column = 'YES'
    """) == [("cards", "day", None)]


def test_a_dataset_without_tables_has_views_without_rows(ask: Ask) -> None:
    assert ask("select table_id from nothing.__TABLES__") == []
