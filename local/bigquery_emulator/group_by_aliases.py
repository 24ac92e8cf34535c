"""``group by`` a name that the select list gives, which overrides a column's name in GoogleSQL.

DuckDB prefers the column: it groups ``date_trunc(d, month) as d`` by days, and calls a name ambiguous that
two joined tables have. The name becomes the place in the select list, which means the same to both:

    select a.k as k, sum(v) from a join b … group by k  ->  select a.k as k, sum(v) from a join b … group by 1

https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#ambiguous_aliases
"""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp

_MENTION = re.compile(r"\bgroup\s+by\b", re.IGNORECASE)


def group_by_places(bq_sql: str) -> str:
    """``bq_sql`` with places for the names; the same text when it groups by none."""
    if not _MENTION.search(bq_sql):
        return bq_sql
    try:
        trees = sqlglot.parse(bq_sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        # Whoever translates it says what is wrong.
        return bq_sql
    if len(trees) != 1 or trees[0] is None:
        return bq_sql
    changed = False
    for group in trees[0].find_all(exp.Group):
        for place, each in zip(_places(group), group.expressions, strict=True):
            if place:
                each.replace(exp.Literal.number(place))
                changed = True
    return trees[0].sql(dialect="bigquery") if changed else bq_sql


def _places(group: exp.Group) -> list[int]:
    """For each of what is grouped by its place in the select list, from 1; 0: it stays as it is."""
    select = group.parent
    given: dict[str, int] = {}
    if isinstance(select, exp.Select):
        for place, item in enumerate(select.expressions, 1):
            if item.is_star:
                # Nobody knows how many columns it stands for.
                break
            if isinstance(item, exp.Alias) and not _is_column_of_its_name(item):
                given.setdefault(item.alias.lower(), place)
    return [
        given.get(each.name.lower(), 0) if isinstance(each, exp.Column) and not each.table else 0
        for each in group.expressions
    ]


def _is_column_of_its_name(item: exp.Alias) -> bool:
    column = item.this
    return isinstance(column, exp.Column) and not column.table and column.name.lower() == item.alias.lower()
