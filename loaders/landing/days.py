"""Which arrival days a run needs, and which days of the marts its late events reach."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import date, timedelta

import pyarrow.fs as pafs

from loaders.landing.contracts import CONTRACTS
from loaders.landing.files import landing_root
from loaders.landing.land import TableLanding, land_days
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import ops_table
from segue.settings import Settings

_DAY = timedelta(days=1)


def land_through(settings: Settings, start_date: date, end_date: date) -> list[TableLanding]:
    """Land [start_date, end_date] and every earlier day that is still missing.

    A mart's day needs all arrivals up to it: with the gaps filled, runs may come in any order.

    Raises:
        LandingError, WarehouseError: as ``land_days``.
    """
    asked = [start_date + _DAY * n for n in range((end_date - start_date).days + 1)]
    missing = [day for day in missing_days(settings, end_date) if day < start_date]
    return land_days(settings, [*missing, *asked])


def missing_days(settings: Settings, through: date) -> list[date]:
    """Arrival days up to ``through`` that never landed, since the first that landed or has files.

    Counting from the first day with files, not from the first landed one, lets a backfill begin at its end.
    """
    landed = _landed_days(settings)
    first = min([*landed, *_days_with_files(settings), through])
    span = [first + _DAY * n for n in range((through - first).days + 1)]
    return [day for day in span if day not in landed]


def first_arrival_day(settings: Settings) -> date | None:
    """The first day that landed or has files; None before anything arrived."""
    return min([*_landed_days(settings), *_days_with_files(settings)], default=None)


def contiguous_landed_day(settings: Settings, day: date) -> date:
    """The last day from ``day`` on up to which no arrival day is missing."""
    landed = _landed_days(settings)
    while day + _DAY in landed:
        day += _DAY
    return day


def reach(settings: Settings, day: date, tables: Collection[str] = tuple(CONTRACTS)) -> date:
    """The earliest day that rows which arrived on ``day`` belong to, at most ``restatement_days`` back.

    Looks at ``tables``, which must be there.
    """
    parts = [
        f"select min({_as_date(contract.event_time, contract)}) as day "
        f"from `{settings.project_id}.{settings.raw_dataset}.{contract.table}` "
        f"where arrival_date = date '{day}'"
        for contract in CONTRACTS.values()
        if contract.event_time and contract.table in tables
    ]
    warehouse = warehouse_of(settings)
    sql = f"select min(day) as day from ({' union all '.join(parts)})"
    [row] = warehouse.run(sql)
    earliest = day - _DAY * settings.restatement_days
    return max(earliest, min(day, row.day or day))


def _as_date(column: str | None, contract: type) -> str:
    annotation = contract.model_fields[str(column)].annotation  # type: ignore[attr-defined]
    return str(column) if annotation is date else f"date({column})"


def _days_with_files(settings: Settings) -> set[date]:
    """Days of the tables that arrive every day, from ``history_start_date`` on."""
    filesystem, root = landing_root(settings)
    days = set()
    for contract in CONTRACTS.values():
        if contract.may_be_absent:
            continue
        selector = pafs.FileSelector(f"{root}/{contract.table}", allow_not_found=True)
        for info in filesystem.get_file_info(selector):
            with suppress(ValueError):
                days.add(date.fromisoformat(info.base_name))
    return {day for day in days if day >= settings.history_start_date}


def _landed_days(settings: Settings) -> set[date]:
    warehouse: Warehouse = warehouse_of(settings)
    if warehouse.find_table(ops_table(settings, "run_ledger")) is None:
        return set()
    rows = warehouse.run(
        f"select distinct run_date from `{ops_table(settings, 'run_ledger')}` "
        f"where step = 'land' and run_date >= date '{settings.history_start_date}'"
    )
    return {row.run_date for row in rows}
