"""Ordered ``array_agg`` for DuckDB: gathered as it comes, sorted afterwards.

DuckDB sorts each group's rows by itself while it aggregates, about 50 us a group; ``list_sort`` over the
gathered lists takes a tenth of that. What is gathered is a struct of the sort keys and the value:

    array_agg(v order by k)  ->  list_transform(list_sort(list({n0: k is not null, k0: k, v: v})), e -> e.v)

A key's flag sorts its nulls first, as BigQuery does. Equal keys are in an order of their own here as there.
"""

from __future__ import annotations

from sqlglot import exp, parse_one

_VALUE = "v"


def sort_after_gathering(duckdb_sql: str) -> str:
    """``duckdb_sql`` with each ordered ``array_agg`` whose keys all ascend, nulls first, put this way."""
    if "ARRAY_AGG(" not in duckdb_sql or "ORDER BY" not in duckdb_sql:
        return duckdb_sql
    tree = parse_one(duckdb_sql, read="duckdb")
    found = [each for each in tree.find_all(exp.ArrayAgg) if _is_ascending(each.this)]
    # the innermost first: one may stand inside another's value
    for gathered in reversed(found):
        order = gathered.this
        whole = gathered.parent if isinstance(gathered.parent, exp.Filter) else gathered
        if isinstance(whole.parent, exp.Window):
            continue
        gathered.set("this", _keyed(order))
        marker = exp.Placeholder()
        whole.replace(marker)
        marker.replace(_sorted(whole))
    return tree.sql(dialect="duckdb") if found else duckdb_sql


def _is_ascending(operand: exp.Expression) -> bool:
    return isinstance(operand, exp.Order) and all(
        not key.args.get("desc") and key.args.get("nulls_first") for key in operand.expressions
    )


def _keyed(order: exp.Order) -> exp.Struct:
    """Sort keys and value of a row; structs compare member by member."""
    members: list[tuple[str, exp.Expression]] = []
    for number, ordered in enumerate(order.expressions):
        key = ordered.this
        is_there = exp.Not(this=exp.Is(this=exp.paren(key.copy()), expression=exp.Null()))
        members += [(f"n{number}", is_there), (f"k{number}", key.copy())]
    members.append((_VALUE, order.this.copy()))
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name), expression=member) for name, member in members
        ]
    )


def _sorted(gathered: exp.Expression) -> exp.Expression:
    item = exp.to_identifier("e")
    value = exp.Lambda(
        this=exp.Dot(this=item.copy(), expression=exp.to_identifier(_VALUE)), expressions=[item]
    )
    return exp.Anonymous(
        this="LIST_TRANSFORM",
        expressions=[exp.Anonymous(this="LIST_SORT", expressions=[gathered]), value],
    )
