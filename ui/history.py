"""Which days and runs there are."""

from __future__ import annotations

from datetime import date
from typing import Final

from loaders.warehouse.ops import OF_MARTS, literal
from ui.reading import Reading, Row, text
from ui.series import days_shown
from ui.step_rows import asked_end, rows_of_run
from ui.visitor import MARTS_DAG

DAYS_LISTED: Final = 60


def published_days(reading: Reading) -> list[Row]:
    """The newest published days, as they were last published."""
    newest = newest_day(reading)
    if newest is None:
        return []
    return reading.ops(
        f"""
        with last_publications as (
          select *
          from {{publications}}
          where run_date >= {literal(days_shown(newest)[0])} and partition_date between
            {literal(days_shown(newest)[0])} and {literal(newest)} and {OF_MARTS}
          qualify row_number() over (partition by mart, partition_date order by published_at desc) = 1
        )
        select
          partition_date as day,
          max(published_at) as published_at,
          logical_and(is_final) as is_final,
          logical_or(override_reason is not null) as is_overridden,
          cast(sum(row_count) as int64) as row_count,
          count(*) as marts,
          max(as_of_date) as as_of_date
        from last_publications
        group by 1
        order by 1 desc
        limit {DAYS_LISTED}
        """,
        "publications",
    )


def newest_day(reading: Reading) -> date | None:
    """The newest day of which marts are published; None before the first publication."""
    since = literal(reading.settings.history_start_date)
    rows = reading.ops(
        f"select max(partition_date) as day from {{publications}} where run_date >= {since} and {OF_MARTS}",
        "publications",
    )
    newest: date | None = rows[0]["day"] if rows else None
    return newest


def run_day(reading: Reading, run_id: str) -> date | None:
    """The last day that a run of ``daily_marts`` was asked for; None before it has ended a step."""
    return max(map(asked_end, rows_of_run(reading, run_id, MARTS_DAG)), default=None)


def step_tries(reading: Reading, step: str, today: date) -> list[Row]:
    """How a step has ended in the runs of the last ninety days, the newest first."""
    return reading.ops(
        f"select * from {{run_steps}} where run_date between {literal(days_shown(today)[0])} and "
        f"{literal(today)} and step = @step order by run_date desc, finished_at desc limit 200",
        "run_steps",
        text("step", step),
    )
