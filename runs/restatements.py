"""What a publication changes in days that analysts have already seen, by how much."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from loaders.warehouse.ops import literal, ops_table, this_run
from runs.published import PublishedMart
from segue.settings import Settings
from segue.window import RunWindow


def record_restatements(settings: Settings, restatements: Sequence[str]) -> str:
    """The statement that keeps what the queries find; to run before any rows move."""
    return (
        f"insert into `{ops_table(settings, 'restatements')}` "
        "(run_date, publication_id, mart, partition_date, measure, value_before, value_after, `change`, "
        "as_of_date, restated_at, run_id)\n" + "\nunion all\n".join(f"({query})" for query in restatements)
    )


def restated(
    mart: PublishedMart,
    days: Sequence[date],
    *,
    audited: str,
    published: str,
    window: RunWindow,
    publication_id: str,
    now: datetime,
    where: str = "true",
) -> str:
    """The query that compares ``days``, published before, with their new rows.

    One row for ``ops.restatements`` for each day and measure whose sum changes, and for the number of rows.
    ``audited`` and ``published`` are quoted table names; only rows ``where`` a condition holds are compared.
    """
    where, day = f"{mart.filter(days)} and {where}", mart.day_expression
    sums = "".join(f", cast(sum({name}) as numeric(38, 9)) as {name}" for name in mart.measures)

    def totals(table: str) -> str:
        return (
            f"select {day} as day, cast(count(*) as numeric(38, 9)) as row_count{sums} "
            f"from {table} where {where} group by 1"
        )

    measures = {"rows": "row_count"} | {name: name for name in mart.measures}
    lines = "\nunion all ".join(
        f"select coalesce(was.day, now.day) as day, '{measure}' as measure, "
        f"coalesce(was.{column}, 0) as value_before, coalesce(now.{column}, 0) as value_after "
        "from was full outer join now on was.day = now.day"
        for measure, column in measures.items()
    )
    return (
        f"with was as ({totals(published)}),\n"
        f"now as ({totals(audited)}),\n"
        f"compared as ({lines})\n"
        f"select {literal(window.end_date)}, {literal(publication_id)}, {literal(mart.name)}, day, measure, "
        f"cast(value_before as numeric(38, 9)), cast(value_after as numeric(38, 9)), "
        f"cast(value_after - value_before as numeric(38, 9)), {literal(window.as_of_date)}, {literal(now)}, "
        f"{this_run()} from compared where value_before <> value_after"
    )
