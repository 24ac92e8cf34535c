"""Of ``create table … as`` most readers want the head: what is made, partitioned and described how.

The emulator asks what kind of statement it is, which table or view it makes, its partitioning and
description, and parses the whole query for it, a sixth of its time on small data. A view's query it also
writes anew, for its catalog: a tenth. Which tables a statement reads is found once for all that differ in
days and datasets only, as translations are (``translated_once``).
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import sqlglot
from bqemulator.catalog import ddl_sync
from bqemulator.sql import catalog_schema
from sqlglot import exp
from translated_once import Translations

_SPACE = r"(?:\s+|/\*.*?\*/|--[^\n]*\n)*"
_MAKES_TABLE = re.compile(
    rf"{_SPACE}create{_SPACE}(?:or{_SPACE}replace{_SPACE})?(?:table|view)\b", re.IGNORECASE | re.DOTALL
)
_PART = re.compile(
    r"/\*.*?\*/|--[^\n]*"
    r'|"""(?:\\.|[^\\])*?"""|' + r"'''(?:\\.|[^\\])*?'''"
    r'|"(?:\\.|[^"\\])*"|' + r"'(?:\\.|[^'\\])*'|`[^`]*`"
    r"|(?P<open>[(\[])|(?P<close>[)\]])|(?P<query>\bas\b)(?=\s*(?:\(|select\b|with\b|/\*|--))",
    re.IGNORECASE | re.DOTALL,
)

_tables = Translations("tables")


def head(bq_sql: str) -> str:
    """The statement with another query; the same text when it is no ``create table … as`` or view."""
    return _split(bq_sql)[0]


def _split(bq_sql: str) -> tuple[str, str]:
    """The head of a statement, and the query that it makes something of; none when there is no such head."""
    begin = _MAKES_TABLE.match(bq_sql)
    depth = 0
    for part in _PART.finditer(bq_sql, begin.end()) if begin else ():
        if part["open"]:
            depth += 1
        elif part["close"]:
            depth -= 1
        elif part["query"] and depth == 0:
            return bq_sql[: part.end()] + " select 1", bq_sql[part.end() :].strip().rstrip(";")
    return bq_sql, ""


def of_head(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` looks at no more of a statement, its argument ``bq_sql``."""
    place = list(inspect.signature(function).parameters).index("bq_sql")

    @wraps(function)
    def reading(*args: Any, **kwargs: Any) -> Any:
        return function(*args[:place], head(args[place]), *args[place + 1 :], **kwargs)

    return reading


@dataclass(frozen=True)
class Written:
    """A view's query as whoever made the view wrote it, which is how BigQuery shows it."""

    text: str

    def sql(self, **_: Any) -> str:
        """What a tree of it would be written as."""
        return self.text


_detect_view = ddl_sync._detect_plain_create_view


def detect_view(bq_sql: str) -> tuple[Any, Any]:
    """``_detect_plain_create_view``: what a statement names a view, and its query."""
    statement, query = _split(bq_sql)
    target, body = _detect_view(statement)
    return target, Written(query) if body is not None and query else body


def tables_of(bq_sql: str) -> list[tuple[str, str, str]]:
    """Project (or nothing), dataset and name of the tables that a statement names; none when it is no SQL."""

    def find(sql: str) -> str:
        try:
            tree = sqlglot.parse_one(sql, read="bigquery")
        except sqlglot.errors.ParseError:
            return "[]"
        tables = [(each.catalog or "", each.db, each.name) for each in tree.find_all(exp.Table)]
        return json.dumps([table for table in tables if all(table[1:])])

    return [
        (project, dataset, name) for project, dataset, name in json.loads(_tables.find(bq_sql, None, find))
    ]


def build_catalog_schema(bq_sql: str, *, project_id: str, catalog: Any) -> dict[str, dict[str, str]]:
    """The types of the columns of every table that the statement names and the catalog knows."""
    schema: dict[str, dict[str, str]] = {}
    for project, dataset, name in tables_of(bq_sql):
        try:
            table = catalog.get_table(project or project_id, dataset, name)
        except catalog_schema.NotFoundError:
            continue
        columns = {
            field.name: kind
            for field in (table.schema_.fields if table is not None else ())
            if (kind := catalog_schema._safe_bq_to_duckdb(field.type)) is not None
        }
        if columns:
            schema[name] = columns
    return schema
