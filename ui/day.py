"""What became of a day: what landed, was built, checked, published and loaded, as the ledger has it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from statistics import median
from typing import Any, Final

from loaders.warehouse.ops import OF_MARTS, RUN_ID, literal
from segue.window import DAY
from ui.reading import Question, Reading, Row, text
from ui.series import DaySeries, days_shown, series_of
from ui.step_rows import asked_end, has_failed_since, last_tries

REFUSALS_SHOWN: Final = 5
"""Of each feed."""
RESTATEMENTS_SHOWN: Final = 100
_COMPARED: Final = 30
_WEEK: Final = 7


@dataclass(frozen=True)
class StepTime:
    """How long a step took, and the median of the thirty days before."""

    step: str
    state: str
    code: str | None
    seconds: float
    usual: float | None
    summary: str | None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Online:
    """A load of the day's segments into Bigtable; counts are accounts."""

    generation_ms: int
    rows_in: int
    rows_out: int
    written: int
    unchanged: int
    removed: int
    dead_lettered: int
    seconds: float | None
    finished_at: datetime
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    run_id: str | None = None

    @property
    def is_verified(self) -> bool:
        """Every row that was read is online or a dead letter: a load that is published has proved that."""
        return self.rows_in == self.rows_out + self.dead_lettered


@dataclass(frozen=True)
class Feed:
    """What arrived of a feed on the day, and the first rows that were refused."""

    table: str
    rows_in: int
    rows_out: int
    rows_quarantined: int
    rows_ignored: int
    rows_erased: int
    files: int | None
    refusals: Sequence[Row] = ()
    run_id: str | None = None


@dataclass(frozen=True)
class Day:
    """A day, and the run whose work is shown: the one asked for, else the one that published the day."""

    day: date
    run_id: str | None = None
    attempt: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    as_of_date: date | None = None
    published_at: datetime | None = None
    is_final: bool | None = None
    override_reason: str | None = None
    runs: Sequence[Row] = ()
    steps: Sequence[StepTime] = ()
    feeds: Sequence[Feed] = ()
    models: Sequence[Row] = ()
    checks: int = 0
    failed_checks: Sequence[Row] = ()
    published: Sequence[Row] = ()
    restated: Sequence[Row] = ()
    online: Online | None = None
    series: Sequence[DaySeries] = ()

    @property
    def state(self) -> str:
        """One word: published, failed, or not published."""
        if self.published_at is not None:
            return "published"
        return "failed" if self.steps and self.steps[-1].state == "failed" else "not published"


def read_day(reading: Reading, day: date, run_id: str | None = None) -> Day:
    """The page's facts, of ``run_id`` where it is given.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    first = reading.together(_of_the_day(reading, day))
    published, steps = first["published"], first["steps"]
    newest = max(published, key=lambda row: row["published_at"], default=None)
    run_id = run_id or _publishing_run(steps, newest)
    of_run = _of_one_chunk([row for row in steps if row["run_id"] == run_id], day, newest)
    tries = last_tries(of_run)
    # An attempt has a name once it is built; one that has failed before is not the one before it.
    of_page = tries if has_failed_since(tries, newest) else of_run
    attempt = _last(row["attempt"] for row in of_page) or (
        newest["attempt"] if newest and not of_run else None
    )
    # Its days, and not those of a landing since.
    last = _last(row for row in of_page if row["attempt"] == attempt)
    run_date = last["end_date"] if last else newest["run_date"] if newest else day
    second = reading.together(_of_the_run(reading, run_id, attempt, run_date))
    of_attempt = [row for row in published if row["attempt"] == attempt]
    shown = newest if newest and (not of_run or newest["attempt"] == attempt) else None
    results = _newest_validation(second["results"], attempt)
    return Day(
        day=day,
        run_id=run_id,
        attempt=attempt,
        start_date=last["start_date"] if last else None,
        end_date=run_date,
        as_of_date=(shown or last or {}).get("as_of_date"),
        published_at=shown["published_at"] if shown else None,
        is_final=shown["is_final"] if shown else None,
        override_reason=shown["override_reason"] if shown else None,
        runs=_runs(steps),
        steps=step_times(of_run, first["times"]),
        feeds=_feeds(reading, day, first["landed"]),
        models=sorted(second["models"], key=lambda row: -row["seconds"]),
        checks=len(results),
        failed_checks=[row for row in results if not row["success"]],
        published=sorted(of_attempt, key=lambda row: str(row["mart"])),
        restated=second["restated"],
        online=_online(first["loads"], first["dead_letters"]),
        series=series_of(day, first["subscriptions"], first["conversions"], first["rows"]),
    )


def _of_the_day(reading: Reading, day: date) -> dict[str, Question]:
    on, marts = literal(day), reading.settings.marts_dataset
    since, until = literal(days_shown(day)[0]), literal(day)
    newest = "qualify row_number() over (partition by mart, partition_date order by published_at desc) = 1"
    return {
        "steps": lambda: reading.ops(
            f"select * from {{run_steps}} where run_date >= {on} and start_date <= {on} order by finished_at",
            "run_steps",
        ),
        "times": lambda: reading.ops(
            "select step, seconds, start_date, end_date from {run_steps} where state = 'done' "
            f"and run_date between {literal(day - _COMPARED * DAY)} and {literal(day - DAY)}",
            "run_steps",
        ),
        "published": lambda: reading.ops(
            f"select * from {{publications}} where run_date >= {on} and partition_date = {on} "
            f"and {OF_MARTS} {newest}",
            "publications",
        ),
        "landed": lambda: reading.ops(
            f"select * from {{run_ledger}} where run_date = {on} and step = 'land' "
            "qualify row_number() over (partition by table_name order by finished_at desc) = 1",
            "run_ledger",
        ),
        "loads": lambda: reading.ops(
            f"select * from {{run_ledger}} where run_date = {on} and step = 'bigtable_load' "
            "order by finished_at desc limit 1",
            "run_ledger",
        ),
        "dead_letters": lambda: reading.ops(
            f"select generation_ms, code, count(*) as row_count from {{dead_letters}} where run_date = {on} "
            "group by 1, 2",
            "dead_letters",
        ),
        "subscriptions": lambda: reading.rows(
            "select snapshot_date as day, sum(mrr_usd_amount) as mrr, "
            "cast(sum(active_subscriptions) as int64) as active "
            f"from {{agg_subscribers_daily}} where snapshot_date between {since} and {until} group by 1",
            {"agg_subscribers_daily": marts},
        ),
        "conversions": lambda: reading.rows(
            "select journey_date as day, cast(sum(conversions) as int64) as conversions "
            f"from {{agg_conversions_daily}} where journey_date between {since} and {until} group by 1",
            {"agg_conversions_daily": marts},
        ),
        "rows": lambda: reading.ops(
            f"select mart, partition_date as day, row_count from {{publications}} where run_date >= {since} "
            f"and partition_date between {since} and {until} and {OF_MARTS} {newest}",
            "publications",
        ),
    }


def _of_the_run(reading: Reading, run_id: str | None, attempt: str | None, end: date) -> dict[str, Question]:
    on = literal(end)
    whose = (text("run_id", run_id or ""), text("attempt", attempt or ""))
    return {
        "models": lambda: reading.ops(
            f"select * from {{model_builds}} where run_date = {on} "
            "and (attempt = @attempt or (@attempt = '' and run_id = @run_id)) "
            "qualify row_number() over (partition by model order by finished_at desc) = 1",
            "model_builds",
            *whose,
        ),
        "results": lambda: reading.ops(
            f"select * from {{validation_results}} where run_date = {on}", "validation_results"
        ),
        "restated": lambda: reading.rows(
            "select mart, partition_date, measure, value_before, value_after, restatements.change "
            f"from {{restatements}} as restatements where run_date = {on} and publication_id in ("
            f"select publication_id from {{publications}} where run_date = {on} and attempt = @attempt) "
            f"order by partition_date desc, mart, measure limit {RESTATEMENTS_SHOWN}",
            dict.fromkeys(("restatements", "publications"), reading.settings.ops_dataset),
            text("attempt", attempt or ""),
        ),
    }


def _publishing_run(steps: Sequence[Row], published: Row | None) -> str | None:
    """The run that made what is published, else the last that did anything of the day."""
    made = [row for row in steps if published is None or row["attempt"] == published["attempt"]]
    run_id: str | None = _last(row["run_id"] for row in made)
    return run_id or (published or {}).get(RUN_ID.name)


def _of_one_chunk(steps: Sequence[Row], day: date, published: Row | None) -> list[Row]:
    """A run's steps; of one that builds a range in chunks those of the chunk that published the day, unless
    the one that was asked for it has failed since: others build it with their own days at most."""
    chunks: dict[tuple[str | None, date], list[Row]] = {}
    for row in steps:
        chunks.setdefault((row.get("dag_id"), asked_end(row)), []).append(row)
    if not chunks:
        return []
    # Those that end before the day have only widened to it.
    own = chunks[min(chunks, key=lambda chunk: (chunk[1] < day, abs(chunk[1] - day)))]
    if published is None or has_failed_since(last_tries(own), published):
        return own
    made = (rows for rows in chunks.values() if any(row["attempt"] == published["attempt"] for row in rows))
    return next(made, own)


def _last(values: Iterable[Any]) -> Any:
    return next((value for value in reversed([*values]) if value is not None), None)


def _runs(steps: Sequence[Row]) -> list[Row]:
    """The runs that had to do with the day, the newest first."""
    runs: dict[str, Row] = {}
    for row in steps:
        runs[row["run_id"]] = row
    return sorted(runs.values(), key=lambda row: row["finished_at"], reverse=True)


def step_times(steps: Sequence[Row], earlier: Sequence[Row]) -> list[StepTime]:
    """The last try of each step, with what a run of about as many days usually takes.

    A run of a day and the few that it restates is not compared with one that builds a month, or a year.
    """
    times = []
    for row in last_tries(steps):
        alike = [
            each["seconds"]
            for each in earlier
            if each["step"] == row["step"] and _are_alike(_days(each), _days(row))
        ]
        times.append(
            StepTime(
                row["step"],
                row["state"],
                row["code"],
                row["seconds"],
                median(alike) if alike else None,
                row["summary"],
                tuple(json.loads(row["warnings"] or "[]")),
            )
        )
    return times


def _days(row: Row) -> int:
    return int((row["end_date"] - row["start_date"]).days) + 1


def _are_alike(days: int, other: int) -> bool:
    """Whether runs of so many days take about as long: both of up to a week, or neither twice the other."""
    return max(days, other) <= max(_WEEK, 2 * min(days, other))


def _newest_validation(results: Sequence[Row], attempt: str | None) -> list[Row]:
    # Measures of models are judged too, and are of no attempt.
    found = [row for row in results if row["attempt"] == attempt] if attempt else []
    newest = max(found, key=lambda row: row["validated_at"], default=None)
    return [row for row in found if newest and row["validation_id"] == newest["validation_id"]]


def _feeds(reading: Reading, day: date, landed: Sequence[Row]) -> list[Feed]:
    quarantine = reading.settings.quarantine_dataset

    def refusals(table: str) -> Question:
        # Never the payload: it is the row itself.
        return lambda: reading.rows(
            "select landing_file, landing_row, column_name, reason "
            f"from {{{table}}} where arrival_date = {literal(day)} "
            f"order by landing_file, landing_row limit {REFUSALS_SHOWN}",
            {table: quarantine},
        )

    refused = reading.together(
        {row["table_name"]: refusals(row["table_name"]) for row in landed if row["rows_quarantined"]}
    )
    return [
        Feed(
            row["table_name"],
            row["rows_in"],
            row["rows_out"],
            row["rows_quarantined"],
            row["rows_ignored"] or 0,
            row["rows_erased"] or 0,
            row["files"],
            refused.get(row["table_name"], ()),
            row.get(RUN_ID.name),
        )
        for row in sorted(landed, key=lambda row: str(row["table_name"]))
    ]


def _online(loads: Sequence[Row], dead_letters: Sequence[Row]) -> Online | None:
    if not loads:
        return None
    [load] = loads
    detail = json.loads(load["detail"])
    return Online(
        generation_ms=detail["generation_ms"],
        rows_in=load["rows_in"] - (load["rows_erased"] or 0),
        rows_out=load["rows_out"],
        written=detail["written"],
        unchanged=detail["unchanged"],
        removed=detail["tombstoned"],
        dead_lettered=load["rows_quarantined"],
        seconds=detail.get("seconds"),
        finished_at=load["finished_at"],
        dead_letters={
            row["code"]: row["row_count"]
            for row in dead_letters
            if row["generation_ms"] == detail["generation_ms"]
        },
        run_id=load.get(RUN_ID.name),
    )
