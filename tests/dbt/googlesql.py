"""Google's own GoogleSQL: its analyzer (names, types, filters of scans) and its reference implementation."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from zetasql.api import CatalogBuilder, PreparedQuery, TableBuilder, TypeFactory
from zetasql.core import ZetaSqlLocalService
from zetasql.types import (
    AnalyzerOptions,
    LanguageOptions,
    ProtoModel,
    ResolvedQueryStmt,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
)

from tests.compiled_zetasql import use_compiled

use_compiled()

Row = dict[str, Any]
Columns = list[tuple[str, Any]]
"""Names and GoogleSQL types of a table or of a query's result, in order."""

_KINDS = {
    "STRING": TypeKind.TYPE_STRING, "BOOL": TypeKind.TYPE_BOOL, "INT64": TypeKind.TYPE_INT64,
    "FLOAT64": TypeKind.TYPE_DOUBLE, "NUMERIC": TypeKind.TYPE_NUMERIC,
    "BIGNUMERIC": TypeKind.TYPE_BIGNUMERIC, "DATE": TypeKind.TYPE_DATE,
    "TIMESTAMP": TypeKind.TYPE_TIMESTAMP, "JSON": TypeKind.TYPE_JSON, "BYTES": TypeKind.TYPE_BYTES,
}  # fmt: skip
_NAMES = {int(kind): name for name, kind in _KINDS.items()}
_QUOTED = re.compile(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`")


def one_name(sql: str) -> str:
    """A catalog knows a table by one name; dbt quotes its three parts apart."""
    return _QUOTED.sub(r"`\1.\2.\3`", sql)


def written(kind: Any) -> str:
    """A type as GoogleSQL writes it, such as ``ARRAY<STRUCT<offer_id STRING>>``."""
    if kind.is_array():
        return f"ARRAY<{written(kind.as_array().element_type)}>"
    if kind.is_struct():
        fields = ", ".join(f"{field.field_name} {written(field.field_type)}" for field in _fields(kind))
        return f"STRUCT<{fields}>"
    return _NAMES[int(kind.type_kind)]


def declared(data_type: str) -> str:
    """A contract's type in the same spelling; precision is no part of what a query resolves to."""
    text = re.sub(r"\(\s*\d+\s*(,\s*\d+\s*)?\)", "", " ".join(data_type.split()))
    text = re.sub(r"\s*([<>,])\s*", r"\1", text).replace(",", ", ")
    # Names of fields keep their case, words of types are capitals.
    return re.sub(
        r"\b(array|struct|string|bool|int64|float64|bignumeric|numeric|date|timestamp|json|bytes)\b(?=[<>,]|$)",
        lambda found: found.group(1).upper(),
        text,
    )


def type_of(data_type: str) -> Any:
    """The type that a contract or a raw table's schema writes, arrays of structs of simple types included."""
    kind = declared(data_type)
    if kind.startswith("ARRAY<"):
        return TypeFactory.create_array_type(type_of(kind.removeprefix("ARRAY<").removesuffix(">")))
    if kind.startswith("STRUCT<"):
        fields = (field.split(" ") for field in kind.removeprefix("STRUCT<").removesuffix(">").split(", "))
        return TypeFactory.create_struct_type([(name, type_of(field)) for name, field in fields])
    return TypeFactory.create_simple_type(_KINDS[kind.upper()])


def _fields(kind: Any) -> Sequence[Any]:
    fields: Sequence[Any] = kind.as_struct().field
    return fields


@dataclass(frozen=True)
class Scan:
    """One reading of a table by a statement, and whether constants decide which partitions it reads.

    ``since`` is the first partition that it may read; None when no constant bounds it from below.
    """

    table: str
    is_pruned: bool
    since: date | None


@dataclass(frozen=True)
class Unnesting:
    """One unnesting of an array by a statement: of a column of that name, or of constants (empty).

    ``within_row`` are the scans of the subquery that keeps the elements in the row of their array; None when
    each element becomes a row of the statement's own.
    """

    array: str
    within_row: frozenset[str] | None


class GoogleSql:
    """Statements over the tables that were declared."""

    def __init__(self) -> None:
        self._language = LanguageOptions.maximum_features()
        self._options = AnalyzerOptions()
        self._options.language_options = self._language
        # BigQuery's; the analyzer's own is that of its authors.
        self._options.default_timezone = "UTC"
        self.tables: dict[str, Columns] = {}
        self._service = ZetaSqlLocalService.get_instance()
        self._registered: tuple[int, dict[str, Columns]] | None = None

    def declare(self, table: str, kinds: Mapping[str, str]) -> None:
        """A table with columns of these types."""
        self.tables[table] = [(name, type_of(kind)) for name, kind in kinds.items()]

    def resolve(self, sql: str) -> Any:
        """The resolved statement; an unknown name or a type that does not fit raises."""
        sql = one_name(sql)
        statement = self._service.analyze(
            sql_statement=sql, options=self._options, registered_catalog_id=self._catalog()
        ).resolved_statement
        is_query = type(statement).__name__ == "ResolvedQueryStmt"
        return statement if is_query else statement.as_type(ResolvedQueryStmt)

    def execute(self, sql: str, inputs: Mapping[str, Sequence[Row]]) -> list[Row]:
        """Run a query by the reference implementation over these rows of the declared tables.

        Values are as JSON gives them. Raises what the implementation raises, also for what it lacks.
        """
        sql = one_name(sql)
        tables = []
        for number, (name, rows) in enumerate(inputs.items()):
            if f"`{name}`" in sql:
                sql = sql.replace(f"`{name}`", f"input_{number}")
                tables.append(f"input_{number} as ({self._literal_rows(self.tables[name], rows)})")
        given = f"with {', '.join(tables)}\n" if tables else ""
        query = f"{given}select to_json_string(found) from (\n{sql}\n) as found"
        with (
            PreparedQuery.builder()
            .set_sql(query)
            .set_analyzer_options(self._options)
            .set_registered_catalog_id(self._catalog())
            .prepare() as prepared
        ):
            content = prepared.execute().content.table_data
        return [json.loads(row.cell[0].string_value) for row in (content.row if content else ())]

    def _catalog(self) -> int:
        """The id of a catalog of the tables as they are; its functions take longer than most statements."""
        if self._registered is not None:
            number, tables = self._registered
            if tables == self.tables:
                return number
            self._service.unregister_catalog(registered_id=number)
        catalog = CatalogBuilder("warehouse")
        for name, columns in self.tables.items():
            table = TableBuilder(name)
            for column, kind in columns:
                table.add_column(column, kind)
            catalog.add_table(table.build())
        catalog.with_builtin_functions(ZetaSQLBuiltinFunctionOptions(language_options=self._language))
        number = self._service.register_catalog(simple_catalog=catalog.build()).registered_id
        self._registered = number, dict(self.tables)
        return number

    def _literal_rows(self, columns: Columns, rows: Sequence[Row]) -> str:
        kinds = ", ".join(f"`{name}` {written(kind)}" for name, kind in columns)
        values = ",\n".join(
            "(" + ", ".join(literal(row.get(name), kind) for name, kind in columns) + ")" for row in rows
        )
        if len(columns) == 1:
            # A struct of one field is written with its name.
            values = ",\n".join(f"struct({literal(row.get(columns[0][0]), columns[0][1])})" for row in rows)
        return f"select * from unnest(array<struct<{kinds}>>[{values}])"


def columns_of(statement: Any) -> Columns:
    """Output columns of a resolved statement."""
    return [(column.name, column.column.type) for column in statement.output_column_list]


def scans_of(statement: Any, partition_columns: Mapping[str, str]) -> list[Scan]:
    """Every scan of the tables that ``partition_columns`` names with their partition column."""
    nodes = list(_nodes(statement))
    constant: set[int | None] = set()
    since: dict[int | None, date] = {}
    for condition in _conditions(nodes):
        column = _only_column(condition)
        constant.add(column)
        if column is not None and (first := _lower_bound(condition)) is not None:
            since[column] = max(first, since.get(column, first))
    found = []
    for node in nodes:
        if type(node).__name__ == "ResolvedTableScan" and node.table.name in partition_columns:
            wanted = partition_columns[node.table.name]
            read = {column.name: column.column_id for column in node.column_list}
            column = read.get(wanted)
            found.append(Scan(node.table.name, column in constant, since.get(column)))
    return found


def scan_counts(statement: Any) -> Counter[str]:
    """How many scans of each kind a resolved statement is made of: filters, joins, aggregations and so on."""
    names = (type(node).__name__ for node in _nodes(statement))
    return Counter(name.removeprefix("Resolved") for name in names if name.endswith("Scan"))


def unnestings_of(statement: Any) -> list[Unnesting]:
    """Every array that a resolved statement unnests."""
    nodes = list(_nodes(statement))
    subqueries = [node.subquery for node in nodes if type(node).__name__ == "ResolvedSubqueryExpr"]
    within = {
        id(inner): scans
        for subquery in subqueries
        for scans in [frozenset(scan_counts(subquery))]
        for inner in _nodes(subquery)
    }
    return [
        Unnesting(getattr(getattr(array, "column", None), "name", ""), within.get(id(node)))
        for node in nodes
        if type(node).__name__ == "ResolvedArrayScan"
        for array in node.array_expr_list
    ]


def literal(value: Any, kind: Any) -> str:
    """A value of that type as a GoogleSQL literal."""
    if kind.is_array():
        # BigQuery keeps no null array: it becomes an empty one.
        element = kind.as_array().element_type
        return f"{written(kind)}[{', '.join(literal(item, element) for item in value or ())}]"
    if value is None:
        return "null"
    if kind.is_struct():
        fields = ", ".join(literal(value[field.field_name], field.field_type) for field in _fields(kind))
        return f"{written(kind)}({fields})"
    match _NAMES[int(kind.type_kind)]:
        case "NUMERIC" | "BIGNUMERIC" as name:
            return f"{name.lower()} '{value}'"
        case "DATE":
            return f"date '{value}'"
        case "TIMESTAMP":
            return f"timestamp '{value}'"
        case "JSON":
            text = value if isinstance(value, str) else json.dumps(value)
            return f"json {_text(text)}"
        case "STRING":
            return _text(str(value))
    return str(value).lower()


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def comparable(value: Any) -> Any:
    """A value of either engine in one form: numbers without trailing zeros, instants and days as text."""
    match value:
        case bool() | None:
            return value
        case int() | float() | Decimal():
            return str(Decimal(str(value)).normalize() + 0)
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"
        case date():
            return value.isoformat()
        case dict():
            return {name: comparable(part) for name, part in value.items()}
        case list() | tuple():
            return [comparable(part) for part in value]
    text = str(value)
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return str(Decimal(text).normalize() + 0)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", text):
        return re.sub(r"\.?0+Z$", "Z", text) if "." in text else text
    return text


def _nodes(node: Any) -> Iterator[Any]:
    """The node and everything below it."""
    if isinstance(node, ProtoModel):
        yield node
        for part in vars(node).values():
            yield from _nodes(part)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _nodes(part)


def _conditions(nodes: Iterable[Any]) -> Iterator[Any]:
    """Every condition that all rows of a scan below it must meet: the parts of what ``and`` joins."""
    for node in nodes:
        name = type(node).__name__
        if name == "ResolvedFilterScan":
            yield from _conjuncts(node.filter_expr)
        elif name == "ResolvedJoinScan" and node.join_expr is not None:
            kept = _kept_side(node)
            for condition in _conjuncts(node.join_expr):
                # An outer join keeps the rows of its side whatever the condition says.
                if kept is None or _only_column(condition) not in kept:
                    yield condition


def _kept_side(join: Any) -> set[int] | None:
    """Columns of the side of which an outer join keeps all rows; None for an inner join."""
    sides = {"LEFT": [join.left_scan], "RIGHT": [join.right_scan], "FULL": [join.left_scan, join.right_scan]}
    kept = sides.get(str(getattr(join.join_type, "name", join.join_type)).removeprefix("JOIN_TYPE_"))
    if kept is None:
        return None
    return {column.column_id for scan in kept for column in scan.column_list}


def _conjuncts(expression: Any) -> Iterator[Any]:
    if _function(expression) == "$and":
        for argument in expression.argument_list:
            yield from _conjuncts(argument)
    else:
        yield expression


def _function(expression: Any) -> str:
    function = getattr(expression, "function", None)
    return str(getattr(function, "name", "")).rpartition(":")[2]


_COMPARISONS = {"$equal", "$in", "$between", "$less", "$less_or_equal", "$greater", "$greater_or_equal"}


def _only_column(condition: Any) -> int | None:
    """Id of the column that a condition compares, by itself, with constants."""
    if _function(condition) not in _COMPARISONS:
        return None
    columns = [node for node in _nodes(condition) if type(node).__name__ == "ResolvedColumnRef"]
    direct = [part for part in condition.argument_list if type(part).__name__ == "ResolvedColumnRef"]
    has_query = any(type(node).__name__ == "ResolvedSubqueryExpr" for node in _nodes(condition))
    if len(columns) != 1 or len(direct) != 1 or has_query:
        return None
    return int(columns[0].column.column_id)


_EPOCH = date(1970, 1, 1)


def _lower_bound(condition: Any) -> date | None:
    """The least day with which a condition on a day holds; None when it is not said by literals."""
    days = [
        _EPOCH + timedelta(days=node.value.value.date_value)
        for node in _nodes(condition)
        if type(node).__name__ == "ResolvedLiteral" and node.value.value.date_value is not None
    ]
    function = _function(condition)
    is_column_first = type(condition.argument_list[0]).__name__ == "ResolvedColumnRef"
    opens = {"$greater", "$greater_or_equal"} if is_column_first else {"$less", "$less_or_equal"}
    return min(days) if days and function in {"$equal", "$in", "$between", *opens} else None
