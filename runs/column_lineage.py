"""Which columns the columns of a model come from, read off the SQL that was built."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

if TYPE_CHECKING:
    from sqlglot.lineage import Node

_DIALECT = "bigquery"
# It warns of every correlated subquery whose columns it then finds all the same.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

Table = str
"""project.dataset.table"""
Sources = Mapping[str, frozenset[tuple[Table, str]]]
"""Column → the columns of tables that it comes from; none: it is a literal, or counts rows."""


def column_lineage(
    statements: Sequence[tuple[Table, str]], tables: Mapping[Table, Sequence[str]]
) -> dict[Table, Sources]:
    """Of each statement, which makes the table beside it; those that are read come before their readers.

    ``tables`` has the columns of those that no statement makes. A table that is read before it is made, as a
    history that a model goes on with, has the columns that it is made with. A statement that cannot be
    resolved is missing from the answer.
    """
    schema = MappingSchema(dialect=_DIALECT)
    for table, columns in tables.items():
        _add(schema, table, columns)
    found: dict[Table, Sources] = {}
    left = list(statements)
    while left:
        again = [each for each in left if not _resolve(each, schema, found)]
        if len(again) == len(left):
            break
        left = again
    return found


def _add(schema: MappingSchema, table: Table, columns: Iterable[str]) -> None:
    # Lineage asks for no types.
    schema.add_table(
        exp.to_table(table, dialect=_DIALECT), dict.fromkeys(columns, "STRING"), dialect=_DIALECT
    )


def _resolve(statement: tuple[Table, str], schema: MappingSchema, found: dict[Table, Sources]) -> bool:
    table, sql = statement
    try:
        query = qualify(
            parse_one(sql, dialect=_DIALECT),
            schema=schema,
            dialect=_DIALECT,
            validate_qualify_columns=False,
            identify=False,
        )
        if "*" in query.named_selects:
            return False
        nodes = lineage(
            None, query, schema, scope=build_scope(query), dialect=_DIALECT, trim_selects=False, copy=False
        )
    except (SqlglotError, ValueError):
        return False
    sources = {column: frozenset(_leaves(node)) for column, node in nodes.items()}
    if any(name == "*" for columns in sources.values() for _, name in columns):
        # It reads all columns of a table that has yet to be made.
        return False
    _add(schema, table, query.named_selects)
    found[table] = sources
    return True


def _leaves(node: Node) -> Iterable[tuple[Table, str]]:
    for each in node.walk():
        if isinstance(each.expression, exp.Table):
            table = each.expression
            column = each.name.rpartition(".")[2].strip('`"')
            yield f"{table.catalog}.{table.db}.{table.name}", column
