"""A question that a person asks the warehouse: one query, which changes nothing, and what it would read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from google.api_core.exceptions import ClientError
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, WarehouseError
from loaders.warehouse.jobs import said
from segue.errors import SegueError
from segue.nearest import nearest
from segue.settings import Settings

_QUERY: Final = "SELECT"
"""BigQuery's kind of every statement that only reads: ``with … select``, unions and parentheses as well."""

_MISSING_TABLE = re.compile(r"Not found: Table (?:[\w-]+[.:])?(\w+)\.(\w+)")
_MISSING_DATASET = re.compile(r"Not found: Dataset ")
_MISSING_COLUMN = re.compile(r"Unrecognized name: |Name \w+ not found inside ")
_PLACE = re.compile(r"\[(\d+):(\d+)\]")
_SKIPPED = (
    r"'''.*?'''|\"\"\".*?\"\"\""
    r"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
    r"|--[^\n]*|\#[^\n]*|/\*.*?\*/"
)


class NotAQueryError(SegueError):
    """A statement that is more, or other, than one query."""

    code = "not_a_query"
    hint = "one SELECT, with its WITH if it has one; what changes data has commands of its own"
    exit_code = 2
    is_final = True


class QueryError(WarehouseError):
    """BigQuery refused a query; where it says in which place, the line is shown, and the column marked."""

    code = "query"
    hint = ""

    def __init__(self, sql: str, message: str) -> None:
        self.place = tuple(map(int, found.groups())) if (found := _PLACE.search(message)) else None
        super().__init__("\n".join([message, *_marked(sql, self.place)]))


@dataclass(frozen=True)
class PlannedQuery:
    """A query as it is sent, its columns, and the bytes that it would read, as BigQuery says before."""

    sql: str
    columns: tuple[str, ...]
    bytes_processed: int


def plan(warehouse: Warehouse, sql: str) -> PlannedQuery:
    """Look at a question by a dry run, which is free.

    Raises:
        NotAQueryError: it is empty, no query, or several statements.
        QueryError: BigQuery refuses it.
        WarehouseError: BigQuery cannot be reached.
    """
    if not sql.strip():
        raise NotAQueryError("there is no query")
    sent = with_configured_datasets(warehouse, sql)
    try:
        told = warehouse.dry_run(sent)
    except WarehouseError as error:
        raise _refused(warehouse, sent, error) from error.__cause__
    if told.statement_type != _QUERY:
        kind = (told.statement_type or "this kind of statement").replace("_", " ").lower()
        raise NotAQueryError(f"a query was expected, not {_ARTICLES.get(kind, kind)}")
    return PlannedQuery(
        sent, tuple(field.name for field in told.schema or ()), told.total_bytes_processed or 0
    )


_ARTICLES = {"script": "several statements or a script"}


def ask(
    warehouse: Warehouse, planned: PlannedQuery, max_bytes: int | None = None
) -> bigquery.table.RowIterator:
    """Run a query that was planned; the rows come in pages.

    Raises:
        QueryError: it failed, or would be billed for more than ``max_bytes``.
    """
    try:
        return warehouse.run(planned.sql, max_bytes_billed=max_bytes)
    except WarehouseError as error:
        raise _refused(warehouse, planned.sql, error) from error.__cause__


def _refused(warehouse: Warehouse, sql: str, error: WarehouseError) -> WarehouseError:
    """What is wrong with the query; what is not its fault stays as it is."""
    if not isinstance(error.__cause__, ClientError):
        return error
    message = said(error.__cause__)
    refused = QueryError(sql, message)
    refused.hint = _meant(warehouse, message)
    return refused


def _meant(warehouse: Warehouse, message: str) -> str:
    """How to find the name that a query has wrong; BigQuery itself guesses columns only."""
    if missing := _MISSING_TABLE.search(message):
        dataset, table = missing.groups()
        near = nearest(table, warehouse.table_names(dataset))
        return (
            f"did you mean {near}?" if near else f"select table_name from {dataset}.INFORMATION_SCHEMA.TABLES"
        )
    if missing := _MISSING_DATASET.search(message):
        return f"the datasets are {', '.join(_datasets(warehouse.settings))}"
    if _MISSING_COLUMN.search(message):
        return (
            "select column_name, description from marts.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS "
            "where table_name = '…'"
        )
    return ""


def with_configured_datasets(warehouse: Warehouse, sql: str) -> str:
    """``sql`` with what the documentation calls ``marts.x`` under the name that the settings give it.

    An alias may be called like a dataset: a name is a table's where ``from`` or ``join`` stands before it, or
    where there is such a table. Texts and comments are left alone.
    """
    renamed = {called: name for called, name in _datasets(warehouse.settings).items() if called != name}
    if not renamed:
        return sql
    names = "|".join(renamed)
    tokens = re.compile(
        rf"(?P<skipped>{_SKIPPED})|(?P<before>\b(?:from|join)\s+)?"
        rf"(?<![\w.`])`?(?P<dataset>{names})(?:`\.`|\.)(?P<table>\w+)`?",
        re.DOTALL | re.IGNORECASE,
    )
    tables: dict[str, set[str]] = {}

    def rename(token: re.Match[str]) -> str:
        if token["skipped"]:
            return token[0]
        dataset = renamed[token["dataset"].lower()]
        if dataset not in tables:
            tables[dataset] = warehouse.table_names(dataset)
        if not token["before"] and token["table"] not in tables[dataset]:
            return token[0]
        return f"{token['before'] or ''}`{dataset}`.`{token['table']}`"

    return tokens.sub(rename, sql)


def _datasets(settings: Settings) -> Mapping[str, str]:
    return {
        "raw": settings.raw_dataset,
        "quarantine": settings.quarantine_dataset,
        "history": settings.history_dataset,
        "marts": settings.marts_dataset,
        "ops": settings.ops_dataset,
    }


def _marked(sql: str, place: tuple[int, ...] | None) -> list[str]:
    if place is None:
        return []
    line_number, column = place
    lines = sql.splitlines()
    if not 1 <= line_number <= len(lines):
        return []
    # A tab is as wide under itself.
    indent = re.sub(r"[^\t]", " ", lines[line_number - 1][: column - 1])
    return [lines[line_number - 1], f"{indent}^"]
