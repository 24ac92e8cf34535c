"""Which arrival days a run lands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from loaders.landing.arrivals import Arrivals
from loaders.landing.land import land_days
from loaders.landing.read_days import TableLanding
from segue.settings import Settings
from segue.window import days_between


@dataclass(frozen=True)
class Landed:
    """What a run has landed, and what has arrived by now."""

    landings: list[TableLanding]
    arrivals: Arrivals


def land_through(settings: Settings, arrivals: Arrivals, start_date: date, end_date: date) -> Landed:
    """Land [start_date, end_date] and every earlier day that is still missing.

    A mart's day needs all arrivals up to it: with the gaps filled, runs may come in any order.

    Raises:
        LandingError, WarehouseError: as ``land_days``.
    """
    missing = [day for day in arrivals.missing(end_date) if day < start_date]
    landings = land_days(settings, [*missing, *days_between(start_date, end_date)], arrivals=arrivals)
    tables: dict[date, set[str]] = {}
    for each in landings:
        tables.setdefault(each.day, set()).update([each.table] if each.files else [])
    return Landed(landings, arrivals.with_landed(tables))
