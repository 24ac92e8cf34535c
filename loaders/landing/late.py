"""What has come or changed in arrival days that had landed: the days are listed again against the ledger.

Only what is new counts. Files that are gone were cleaned up, and their rows stay.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from loaders.landing.arrivals import Arrivals
from loaders.landing.completeness import why_incomplete
from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError
from loaders.landing.land import land_days
from loaders.landing.listing import MANIFEST, OWN_FILES, TableDay, landing_store, table_days
from loaders.landing.read_days import TableLanding
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import literal, ops_table
from segue.settings import Settings
from segue.window import DAY


@dataclass(frozen=True)
class LateFiles:
    """Tables' days that are to land again, with the names that are new or changed, and what must wait."""

    changed: Mapping[tuple[str, date], tuple[str, ...]]
    waiting: tuple[str, ...] = ()
    """Sentences about days that are not complete: the next run looks again."""


def find_late(
    settings: Settings, arrivals: Arrivals, end_date: date, besides: Collection[date], now: datetime
) -> LateFiles:
    """What is late in the landed days of the last ``restatement_days`` up to ``end_date``, ``besides`` left
    out: they land anyway.

    Raises:
        LandingError: files are late and the settings forbid it; or some files of a day have come and others
            are gone, and nothing says which of them make up the day.
        ObjectStoreError: the landing cannot be listed.
    """
    since = end_date - DAY * settings.restatement_days
    days = [day for day in arrivals.landed if since <= day <= end_date and day not in besides]
    recorded = landed_generations(settings, days) if days else {}
    store = landing_store(settings)
    changed: dict[tuple[str, date], tuple[str, ...]] = {}
    waiting = []
    for table in CONTRACTS:
        of_table = sorted(day for name, day in recorded if name == table)
        for day, found in table_days(store, table, of_table).items():
            before, present = recorded[table, day], found.generations
            # What the platform makes itself lands with the run that makes it, and is nobody's delivery.
            names = sorted(
                name
                for name, generation in present.items()
                if before.get(name) != generation and not name.startswith(OWN_FILES)
            )
            if not names:
                continue
            reason = why_incomplete(settings, store, found, False, now)
            if reason:
                waiting.append(reason)
                continue
            _refuse_half_a_day(found, before)
            changed[table, day] = tuple(names)
    if changed and settings.late_files == "refuse":
        listed = ", ".join(
            f"{table}/{day}/{name}" for (table, day), names in changed.items() for name in names
        )
        raise LandingError(
            f"{listed}: came or changed after the day had landed, which SEGUE_LATE_FILES forbids; "
            "`segue land day` lands a day as it is now"
        )
    return LateFiles(changed, tuple(waiting))


def land_late(settings: Settings, arrivals: Arrivals, late: LateFiles) -> list[TableLanding]:
    """Land the tables' days again; what changes goes into ``ops.corrections``.

    Raises:
        LandingError, WarehouseError: as ``land_days``.
    """
    tables: dict[date, set[str]] = defaultdict(set)
    for table, day in late.changed:
        tables[day].add(table)
    groups: dict[frozenset[str], list[date]] = defaultdict(list)
    for day, of_day in sorted(tables.items()):
        groups[frozenset(of_day)].append(day)
    landings: list[TableLanding] = []
    for of_days, days in groups.items():
        landings += land_days(settings, days, sorted(of_days), arrivals)
    return landings


def _refuse_half_a_day(found: TableDay, before: Mapping[str, int]) -> None:
    """A clean-up that has begun with a day would take rows with it, a replacement would not leave some."""
    if found.manifest:
        return
    present = found.generations
    gone = sorted(before.keys() - present.keys() - {MANIFEST})
    stayed = [name for name, generation in before.items() if present.get(name) == generation]
    if gone and stayed:
        raise LandingError(
            f"{found.folder}: files have come after it had landed, and {', '.join(gone)} is no longer there; "
            "`segue land day` lands the day as it is now, without those rows"
        )


def landed_generations(settings: Settings, days: Sequence[date]) -> dict[tuple[str, date], dict[str, int]]:
    """Generation by file name of every table's day that landed since generations are kept.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    warehouse = warehouse_of(settings)
    ledger = ops_table(settings, "run_ledger")
    if all(field.name != "file_generations" for field in warehouse.columns(ledger)):
        return {}
    rows = warehouse.run(
        f"select table_name, run_date, file_generations from `{ledger}` where step = 'land' "
        f"and run_date between {literal(min(days))} and {literal(max(days))} and file_generations is not null"
    )
    wanted = set(days)
    return {
        (row.table_name, row.run_date): json.loads(row.file_generations)
        for row in rows
        if row.run_date in wanted and row.table_name in CONTRACTS
    }
