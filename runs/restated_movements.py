"""The movement ``restated``, by which every published day follows from the day before it.

A run compares each of its days with what it knows of the day before. Of the first of them that may be more
than is published of the day before: what arrived too late to restate it. The day after the last may have been
published when less was known. The difference is a movement of its own, in the cells of the two closes:

    restated[d] = close[d] - the other movements[d] - close[d - 1], each as published

So the published closes and movements add up between any two published days, whatever arrives when. Each of
the three is a pure function of raw, its day and the as-of day under which it was published last, and so is
their difference: neither the order of runs nor their overlap changes what it ends as.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from loaders.warehouse.ops import literal, this_run
from segue.settings import Settings
from segue.window import DAY, RunWindow

CLOSES = "agg_subscribers_daily"
MOVEMENTS = "agg_mrr_movements_daily"
RESTATED = "restated"
NOT_RESTATED = f"movement <> '{RESTATED}'"
MEASURE = "restated_mrr_usd_amount"
"""Its name in ``ops.restatements``."""

_DAY = "snapshot_date"
_CELL = "market, plan_kind, provider, currency"
_ADDED = "mrr_amount as added, mrr_usd_amount as added_usd"
_TAKEN_OFF = "-mrr_amount as added, -mrr_usd_amount as added_usd"
_REASONS = ("churn_reason", "movement_reason")
_COLUMNS = f"{_DAY}, movement, {', '.join(_REASONS)}, {_CELL}, accounts, mrr_amount, mrr_usd_amount"


@dataclass(frozen=True)
class Version:
    """Days of the two marts in one place; ``closes`` and ``movements`` are quoted table names."""

    closes: str
    movements: str
    days: Collection[date]


def following_days(now: Collection[date], earlier: Collection[date]) -> list[date]:
    """The days that a publication of ``now`` has to make follow: its own and those after them.

    Only where both a day and the one before are published, then or ``earlier``.
    """
    published = {*now, *earlier}
    return sorted(day for day in {*now, *(day + DAY for day in now)} if {day, day - DAY} <= published)


def restated_rows(days: Sequence[date], versions: Sequence[Version]) -> str:
    """The query of the rows that are missing for ``days`` to follow, one for each cell that differs."""
    needed = sorted({*days, *(day - DAY for day in days)})
    parts = []
    for version in versions:
        there = [day for day in needed if day in version.days]
        after = [day for day in there if day in days]
        before = [day for day in there if day + DAY in days]
        if after:
            parts += [
                f"select {_DAY}, {_CELL}, {_ADDED} from {version.closes} where {_of(after)}",
                f"select {_DAY}, {_CELL}, {_TAKEN_OFF} from {version.movements} "
                f"where {_of(after)} and {NOT_RESTATED}",
            ]
        if before:
            parts.append(
                f"select date_add({_DAY}, interval 1 day) as {_DAY}, {_CELL}, {_TAKEN_OFF} "
                f"from {version.closes} where {_of(before)}"
            )
    no_reasons = ", ".join(f"cast(null as string) as {name}" for name in _REASONS)
    return (
        f"select {_DAY}, '{RESTATED}' as movement, {no_reasons}, {_CELL}, "
        "cast(null as int64) as accounts, cast(sum(added) as numeric(38, 9)) as mrr_amount, "
        "cast(sum(added_usd) as numeric(38, 9)) as mrr_usd_amount from (\n"
        + "\nunion all\n".join(parts)
        + f"\n) group by {_DAY}, {_CELL} having sum(added) <> 0 or sum(added_usd) <> 0"
    )


def make_follow(rows: str, movements: str, kept_days: Sequence[date]) -> list[str]:
    """The statements that add ``rows``, in the place of those of ``kept_days``, whose partitions stay."""
    insert = f"insert into {movements} ({_COLUMNS}) select {_COLUMNS} from (\n{rows}\n)"
    if not kept_days:
        return [insert]
    return [f"delete from {movements} where {_of(kept_days)} and movement = '{RESTATED}'", insert]


def told(
    days: Sequence[date], rows: str, movements: str, window: RunWindow, publication_id: str, now: datetime
) -> str:
    """The query of what ``ops.restatements`` keeps of it; to run before any rows move."""
    was = (
        f"select {_DAY} as day, sum(mrr_usd_amount) as amount from {movements} "
        f"where {_of(days)} and movement = '{RESTATED}' group by 1"
    )
    becomes = f"select {_DAY} as day, sum(mrr_usd_amount) as amount from (\n{rows}\n) group by 1"
    before, after = (f"cast(coalesce({side}.amount, 0) as numeric(38, 9))" for side in ("was", "becomes"))
    return (
        f"with was as ({was}), becomes as ({becomes})\n"
        f"select {literal(window.end_date)}, {literal(publication_id)}, '{MOVEMENTS}', "
        f"coalesce(was.day, becomes.day), '{MEASURE}', {before}, {after}, "
        f"cast({after} - {before} as numeric(38, 9)), {literal(window.as_of_date)}, {literal(now)}, "
        f"{this_run()} from was full outer join becomes on was.day = becomes.day "
        f"where {before} <> {after}"
    )


def _of(days: Sequence[date]) -> str:
    """A constant filter on days: ranges, since years of literals take longer to parse than to read."""
    ordered = sorted(days)
    runs = [
        [day for _, day in group]
        for _, group in groupby(enumerate(ordered), key=lambda item: item[1] - DAY * item[0])
    ]
    ranges = [f"{_DAY} between date '{run[0]}' and date '{run[-1]}'" for run in runs]
    return ranges[0] if len(ranges) == 1 else f"({' or '.join(ranges)})"


def published_version(settings: Settings, days: Collection[date]) -> Version:
    """The two marts as analysts see them."""
    closes, movements = (
        f"`{settings.project_id}.{settings.marts_dataset}.{name}`" for name in (CLOSES, MOVEMENTS)
    )
    return Version(closes, movements, days)
