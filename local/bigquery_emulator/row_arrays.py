"""Subqueries over an array of the row, for DuckDB: functions of the list.

BigQuery evaluates ``array(select … from unnest(column))`` where the row is. DuckDB joins the elements of each
such array with the rows again and groups them, which takes twice the time and several times the memory:

    array(select v from unnest(l) as e where c)  ->  list_transform(list_filter(l, e -> c), e -> v)
    (select max(v) from unnest(l) as e where c)  ->  list_max(list_transform(list_filter(l, e -> c), e -> v))
"""

from __future__ import annotations

from bqemulator.sql.rules import TranslationRule, register
from sqlglot import exp

_UNDERSTOOD = {"expressions", "from_", "where"}
_SUMMED_UP: dict[type[exp.Expression], str] = {exp.Max: "LIST_MAX", exp.Min: "LIST_MIN"}
# What stands for a table cannot be a function of a list.
_TABLES = (exp.From, exp.Join, exp.Lateral, exp.CTE, exp.In, exp.Exists, exp.SetOperation)


@register
class ArrayOfRow(TranslationRule):  # type: ignore[misc]
    """``array(select …)``, in which a missing array has no elements."""

    name = "ARRAY_OF_ROW"

    def applies_to(self, node: exp.Expression) -> bool:
        """Whether all that the subquery reads is one array."""
        return (
            isinstance(node, exp.Array)
            and len(node.expressions) == 1
            and _reads_one_array(node.expressions[0])
            and not node.expressions[0].expressions[0].find(exp.AggFunc)
        )

    def rewrite(self, node: exp.Expression) -> exp.Expression:
        """The list that the subquery makes."""
        select = node.expressions[0]
        source = select.args["from_"].this.expressions[0]
        is_there = exp.Not(this=exp.Is(this=source.copy(), expression=exp.Null()))
        made = exp.If(this=is_there, true=_list(select, select.expressions[0]))
        return exp.paren(exp.Case(ifs=[made], default=exp.Array()), copy=False)


@register
class SummaryOfRow(TranslationRule):  # type: ignore[misc]
    """``(select max(…))``; of no elements it is null."""

    name = "SUMMARY_OF_ROW"

    def applies_to(self, node: exp.Expression) -> bool:
        """Whether all that the subquery reads is one array, and a maximum or minimum all it gives."""
        return (
            isinstance(node, exp.Subquery)
            and not isinstance(node.parent, _TABLES)
            and not node.alias
            and _reads_one_array(node.this)
            and type(node.this.expressions[0].unalias()) in _SUMMED_UP
        )

    def rewrite(self, node: exp.Expression) -> exp.Expression:
        """The summary of the list that the subquery sums up."""
        summary = node.this.expressions[0].unalias()
        return exp.Anonymous(this=_SUMMED_UP[type(summary)], expressions=[_list(node.this, summary.this)])


def _reads_one_array(select: exp.Expression) -> bool:
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return False
    given = {name for name, value in select.args.items() if value}
    source = select.args["from_"].this if given <= _UNDERSTOOD and "from_" in given else None
    return (
        isinstance(source, exp.Unnest)
        and len(source.expressions) == 1
        and not source.args.get("offset")
        and len(source.alias_column_names) == 1
        and not any(select.find(kind) for kind in (exp.Window, exp.Subquery, exp.Star))
        and all(inner is select for inner in select.find_all(exp.Select))
    )


def _list(select: exp.Select, value: exp.Expression) -> exp.Expression:
    source = select.args["from_"].this
    [element] = source.alias_column_names
    found = source.expressions[0].copy()
    if where := select.args.get("where"):
        found = exp.Anonymous(this="LIST_FILTER", expressions=[found, _lambda(element, source, where.this)])
    value = value.unalias()
    if isinstance(value, exp.Column) and value.name == element and value.table in ("", source.alias):
        return found
    return exp.Anonymous(this="LIST_TRANSFORM", expressions=[found, _lambda(element, source, value)])


def _lambda(element: str, source: exp.Unnest, value: exp.Expression) -> exp.Lambda:
    body = value.copy()
    for column in list(body.find_all(exp.Column)):
        if column.name == element and column.table == source.alias:
            named = exp.column(element)
            if column is body:
                body = named
            else:
                column.replace(named)
    return exp.Lambda(this=body, expressions=[exp.to_identifier(element)])
