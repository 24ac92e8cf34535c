"""Which arrival days a run lands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from loaders.landing.arrivals import Arrivals
from loaders.landing.land import land_days
from loaders.landing.late import find_late, land_late
from loaders.landing.read_days import TableLanding
from segue.settings import Settings
from segue.window import days_between


@dataclass(frozen=True)
class Landed:
    """What a run has landed, and what has arrived by now.

    ``late`` are tables' days that landed again because files had come or changed, ``waiting`` sentences about
    those that are not complete yet and were left as they had landed.
    """

    landings: list[TableLanding]
    arrivals: Arrivals
    late: Sequence[TableLanding] = ()
    waiting: Sequence[str] = ()


def days_to_land(arrivals: Arrivals, start_date: date, end_date: date) -> list[date]:
    """[start_date, end_date] and every earlier day that is still missing.

    A mart's day needs all arrivals up to it: with the gaps filled, runs may come in any order.
    """
    missing = [day for day in arrivals.missing(end_date) if day < start_date]
    return [*missing, *days_between(start_date, end_date)]


def land_through(settings: Settings, arrivals: Arrivals, start_date: date, end_date: date) -> Landed:
    """Land the days of a run, and again what has come or changed in those that landed before.

    Raises:
        LandingError, WarehouseError: as ``land_days`` and ``find_late``.
    """
    days = days_to_land(arrivals, start_date, end_date)
    late = find_late(settings, arrivals, end_date, days, datetime.now(UTC))
    landings = land_days(settings, days, arrivals=arrivals)
    again = land_late(settings, arrivals, late)
    tables: dict[date, set[str]] = {}
    for each in landings:
        tables.setdefault(each.day, set()).update([each.table] if each.files else [])
    return Landed(landings, arrivals.with_landed(tables), again, late.waiting)
