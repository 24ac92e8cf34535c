"""Published days that what has arrived since does not agree with any more.

A published day is *stale* when an arrival day that belongs to it, or to a day before it, came after it was
built, or was built in and has been corrected since. Every run looks, so it does not matter which run landed
the arrivals, or whether that run failed afterwards.

Of marts that describe a day as it was known then, a day knows the arrivals up to that day: only those, when
they come or are corrected after it was built, make it stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import literal, ops_table
from runs.published import PublishedMart, published_marts
from segue.settings import Settings
from segue.window import DAY, RunWindow, days_between


@dataclass(frozen=True)
class PublishedDays:
    """What is published of the marts of which a day knows all: the first day, None before anything is, and
    the days that are stale."""

    first: date | None
    stale: tuple[date, ...]
    known_then: frozenset[date] = frozenset()
    """Days of which the marts as known then are all published …"""
    stale_known_then: tuple[date, ...] = ()
    """… and those of them that are stale."""


@dataclass(frozen=True)
class Widening:
    """The window of a run with the stale days that it takes in, and those that it leaves."""

    window: RunWindow
    first_published: date | None
    taken_in: tuple[date, ...]
    left: tuple[date, ...]
    left_known_then: tuple[date, ...] = ()


def take_in_stale_days(settings: Settings, window: RunWindow) -> Widening:
    """Widen a window by the stale days that a run of it is to build; days that are left are no longer final.

    Raises:
        WarehouseError: the operational tables cannot be read or changed.
    """
    warehouse = warehouse_of(settings)
    marts = [mart for mart in published_marts(settings.dbt_manifest) if mart.kind == "days"]
    published = published_days(warehouse, marts, window.as_of_date)
    widening = widen(settings, window, published)
    if widening.left:
        withdraw_finality(warehouse, [mart for mart in marts if not mart.as_known_then], widening.left)
    if widening.left_known_then:
        withdraw_finality(warehouse, [mart for mart in marts if mart.as_known_then], widening.left_known_then)
    return widening


def widen(settings: Settings, window: RunWindow, published: PublishedDays) -> Widening:
    """The window with the stale days of the last ``restatement_days``, as one range.

    A run of days that lie further back builds those alone: between them and today there may be years.
    """
    start, end = window.start_date, window.end_date
    open_since = window.as_of_date - DAY * settings.restatement_days
    stale, stale_then = (
        [day for day in days if day >= open_since] if end >= open_since else []
        for days in (published.stale, published.stale_known_then)
    )
    start, end = min([start, *stale, *stale_then]), max([end, *stale, *stale_then])
    # A day that other marts are built of must not be without these.
    never = (day for day in days_between(start, end) if day not in published.known_then)
    known_start = min([window.first_day(as_known_then=True), *stale_then, *never])
    widened = window.model_copy(
        update={"start_date": start, "end_date": end, "known_start_date": known_start}
    )
    return Widening(
        window=widened,
        first_published=published.first,
        taken_in=tuple(
            day for day in sorted({*stale, *stale_then}) if not window.start_date <= day <= window.end_date
        ),
        left=tuple(day for day in published.stale if not start <= day <= end),
        left_known_then=tuple(day for day in published.stale_known_then if not known_start <= day <= end),
    )


def published_days(warehouse: Warehouse, marts: Sequence[PublishedMart], as_of_date: date) -> PublishedDays:
    """The published days, and which of them are stale by what has landed up to ``as_of_date``; one query.

    Raises:
        WarehouseError: the operational tables cannot be read.
    """
    settings = warehouse.settings
    since = literal(settings.history_start_date)
    # Marts that restate days of their own accord come along with the days that make them do so.
    known_then = [literal(mart.name) for mart in marts if mart.as_known_then]
    names = [literal(mart.name) for mart in marts if not mart.restates_days]
    is_known_then = f"mart in ({', '.join(known_then)})" if known_then else "false"
    rows = warehouse.run(
        "with newest as (\n"
        "    select mart, partition_date, as_of_date, raw_read_at, row_number() over (\n"
        "        partition by mart, partition_date order by published_at desc, raw_read_at desc\n"
        "    ) as place\n"
        f"    from `{ops_table(settings, 'publications')}`\n"
        f"    where run_date >= {since} and partition_date >= {since}\n"
        f"    and mart in ({', '.join(names)})\n"
        "), published as (\n"
        f"    select {is_known_then} as is_known_then, partition_date, count(*) as marts,\n"
        "    min(as_of_date) as as_of_date, min(raw_read_at) as raw_read_at\n"
        "    from newest where place = 1 group by 1, partition_date\n"
        "), arrived as (\n"
        "    select run_date, greatest(\n"
        f"        min(first_event_date), date_sub(run_date, interval {settings.restatement_days} day)\n"
        "    ) as first_event_date\n"
        f"    from `{ops_table(settings, 'run_ledger')}`\n"
        f"    where step = 'land' and run_date between {since} and {literal(as_of_date)}\n"
        "    group by run_date\n"
        "), corrected as (\n"
        "    select run_date, first_event_date, corrected_at\n"
        f"    from `{ops_table(settings, 'corrections')}`\n"
        f"    where run_date between {since} and {literal(as_of_date)}\n"
        ")\n"
        "select false as is_stale, is_known_then, partition_date as day, marts from published\n"
        "union distinct\n"
        "select true, is_known_then, partition_date, 0 from published inner join arrived\n"
        "on arrived.run_date > published.as_of_date and arrived.first_event_date <= partition_date\n"
        "and (not is_known_then or arrived.run_date <= partition_date)\n"
        "union distinct\n"
        "select true, is_known_then, partition_date, 0 from published inner join corrected\n"
        "on corrected.run_date <= published.as_of_date and corrected.first_event_date <= partition_date\n"
        "and corrected.corrected_at > published.raw_read_at\n"
        "and (not is_known_then or corrected.run_date <= partition_date)\n"
        "order by day"
    )
    found = [(row.is_stale, row.is_known_then, row.day, row.marts) for row in rows]
    return PublishedDays(
        first=next((day for is_stale, then, day, _ in found if not is_stale and not then), None),
        stale=tuple(day for is_stale, then, day, _ in found if is_stale and not then),
        known_then=frozenset(
            day for is_stale, then, day, count in found if not is_stale and then and count == len(known_then)
        ),
        stale_known_then=tuple(day for is_stale, then, day, _ in found if is_stale and then),
    )


def withdraw_finality(warehouse: Warehouse, marts: Sequence[PublishedMart], days: Sequence[date]) -> None:
    """Have ``ops.publications`` say that the days are not final, until they are published again.

    Raises:
        WarehouseError: the table cannot be changed.
    """
    warehouse.run(
        f"update `{ops_table(warehouse.settings, 'publications')}` set is_final = false "
        f"where run_date >= {literal(warehouse.settings.history_start_date)} and is_final "
        f"and mart in ({', '.join(literal(mart.name) for mart in marts)}) "
        f"and partition_date in ({', '.join(map(literal, days))})"
    )
