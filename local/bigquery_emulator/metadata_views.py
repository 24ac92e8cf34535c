"""Metadata views as ``dbt docs generate`` reads them: the emulator's INFORMATION_SCHEMA and two views that it
lacks, ``__TABLES__`` and ``INFORMATION_SCHEMA.COLUMN_FIELD_PATHS``.

The emulator puts a view's rows into the statement and translates both together. Thousands of literals take it
ten seconds and more, and a ``values`` list loses the names of its columns on the way. Here a reference
becomes a name before the translation, and the rows take the name's place after it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from bqemulator.catalog.models import TableFieldSchema, TableMeta
from bqemulator.catalog.repository import CatalogRepository
from bqemulator.sql.rewriter import information_schema

REMEMBERED = 256
"""References whose statement has not run yet."""

Row = tuple[str | int | None, ...]
Rows = Callable[[CatalogRepository, TableMeta], Iterator[Row]]

_PART = r"`?([A-Za-z0-9_\-]+)`?\s*\.\s*"
_REFERENCE = re.compile(
    rf"(?:(?:{_PART})?{_PART})?`?(?:INFORMATION_SCHEMA`?\s*\.\s*`?([A-Z_]+)|(__TABLES__))`?", re.IGNORECASE
)
_MENTION = re.compile("INFORMATION_SCHEMA|__TABLES__", re.IGNORECASE)
_NAME = re.compile(r'"?\bsegue_metadata_(\d+)\b"?')
_TABLE_KINDS = {"VIEW": 2, "EXTERNAL": 3, "MATERIALIZED_VIEW": 4}
"""BigQuery's numbers; everything else that holds rows is 1, a table."""

_expand = information_schema.expand_information_schema
_numbers = itertools.count(1)
_subqueries: OrderedDict[int, str] = OrderedDict()


def name_views(bq_sql: str, project_id: str, catalog: CatalogRepository) -> str:
    """``bq_sql`` with a name in the place of each metadata view."""
    if not _MENTION.search(bq_sql):
        return bq_sql

    def name(reference: re.Match[str]) -> str:
        subquery = _subquery(reference, project_id, catalog)
        if subquery is None:
            return reference[0]
        number = next(_numbers)
        _subqueries[number] = subquery
        while len(_subqueries) > REMEMBERED:
            _subqueries.popitem(last=False)
        return f"segue_metadata_{number}"

    return _REFERENCE.sub(name, bq_sql)


def fill_views(duckdb_sql: str) -> str:
    """``duckdb_sql`` with the rows in the place of each name that ``name_views`` gave."""
    if "segue_metadata_" not in duckdb_sql:
        return duckdb_sql
    return _NAME.sub(lambda name: _subqueries.get(int(name[1]), name[0]), duckdb_sql)


def timestamp_literal(milliseconds: int) -> str:
    """The emulator's helper, in DuckDB's words."""
    return f"timestamptz '{datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()}'"


def option_value(value: str) -> str:
    """The emulator's helper: a text as TABLE_OPTIONS quotes it, which dbt reads as JSON."""
    return json.dumps(value, ensure_ascii=False)


def _subquery(reference: re.Match[str], project_id: str, catalog: CatalogRepository) -> str | None:
    project, dataset, view = reference[1] or project_id, reference[2], (reference[3] or reference[4]).upper()
    if view in _VIEWS and dataset:
        columns, rows_of = _VIEWS[view]
        tables = sorted(catalog.list_tables(project, dataset), key=lambda table: table.table_id)
        return _values(columns, [row for table in tables for row in rows_of(catalog, table)])
    # It knows the name of the schema without quotes only.
    named = reference[0].replace("`", "")
    rows: str = _expand(named, project_id, catalog)
    return None if rows == named else rows


def _values(columns: tuple[str, ...], rows: list[Row]) -> str:
    listed = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows or [(None,) * len(columns)])
    return f"(select * from (values {listed}) as v({', '.join(columns)}) where {bool(rows)})"


def _literal(value: str | int | None) -> str:
    literal: str = str(value) if isinstance(value, int) else information_schema._sql_literal(value)
    return literal


def _table_rows(catalog: CatalogRepository, table: TableMeta) -> Iterator[Row]:
    kind = _TABLE_KINDS.get(table.table_type, 1)
    # The catalogue's own count is that of the table's creation: count what is there.
    partitions = catalog.list_partitions(*_id(table)) if kind == 1 else ()
    yield (
        *_id(table),
        int(table.creation_time.timestamp() * 1000),
        int(table.last_modified_time.timestamp() * 1000),
        sum(partition.total_rows for partition in partitions),
        table.num_bytes,
        kind,
    )


def _field_path_rows(_: CatalogRepository, table: TableMeta) -> Iterator[Row]:
    def paths(field: TableFieldSchema, path: str, column: str) -> Iterator[Row]:
        data_type = information_schema._render_data_type(field)
        yield (*_id(table), column, path, data_type, field.description, field.collation, None)
        for nested in field.fields:
            yield from paths(nested, f"{path}.{nested.name}", column)

    for column in table.schema_.fields:
        yield from paths(column, column.name, column.name)


def _id(table: TableMeta) -> tuple[str, str, str]:
    return table.project_id, table.dataset_id, table.table_id


_VIEWS: dict[str, tuple[tuple[str, ...], Rows]] = {
    "__TABLES__": (
        (
            "project_id", "dataset_id", "table_id", "creation_time", "last_modified_time", "row_count",
            "size_bytes", "type",
        ),
        _table_rows,
    ),
    "COLUMN_FIELD_PATHS": (
        (
            "table_catalog", "table_schema", "table_name", "column_name", "field_path", "data_type",
            "description", "collation_name", "rounding_mode",
        ),
        _field_path_rows,
    ),
}  # fmt: skip
