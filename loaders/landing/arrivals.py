"""What has arrived so far: which days have landed, which have files, and which feeds deliver."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from loaders.landing.contracts import CONTRACTS
from loaders.landing.listing import folders, from_the_first_delivery, landing_store
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import ops_table
from segue.errors import SettingsError
from segue.settings import Settings
from segue.window import DAY, days_between


@dataclass(frozen=True)
class Arrivals:
    """Read once at the beginning of a landing.

    A *feed* is a table whose files must be there on every day since its first: those that the settings name,
    else every table that ever delivered and whose contract does not allow days without a file.
    """

    history_start_date: date
    landed: Mapping[date, frozenset[str]]
    """Day that has landed → tables that had a file."""
    files: Mapping[str, frozenset[date]]
    """Table → days with something in the landing, whether they are read or not."""
    named_feeds: frozenset[str] | None = None
    strays: tuple[str, ...] = ()
    """What lies below the landing root and is no table's or no day's folder: nothing reads it."""

    @classmethod
    def read(cls, settings: Settings) -> Arrivals:
        """One query of the run ledger and one listing of each table's folder.

        Raises:
            SettingsError: the settings name a feed that is no table.
            ObjectStoreError: the landing cannot be listed.
        """
        for variable, named in (("FEEDS", settings.feeds), ("MANIFEST_FEEDS", settings.manifest_feeds)):
            unknown = sorted((named or frozenset()) - set(CONTRACTS))
            if unknown:
                raise SettingsError(
                    f"SEGUE_{variable}: there is no table {', '.join(unknown)}; "
                    f"there are {', '.join(CONTRACTS)}"
                )
        store, landed = landing_store(settings), _landed(settings)
        listed, strays = folders(store, CONTRACTS)
        files = {table: from_the_first_delivery(store, table, days, landed) for table, days in listed.items()}
        return cls(settings.history_start_date, landed, files, settings.feeds, strays)

    def with_landed(self, tables: Mapping[date, Collection[str]]) -> Arrivals:
        """The same after days have landed; ``tables`` are those with files on each."""
        return replace(self, landed={**self.landed, **{day: frozenset(of) for day, of in tables.items()}})

    @property
    def first_day(self) -> date | None:
        """The first day that landed or has files of a daily table; None before anything arrived."""
        return min([*self.landed, *self._days_with_files()], default=None)

    @property
    def unread_days(self) -> list[date]:
        """Days with files before the history that is kept, which no run reads."""
        early = {day for days in self.files.values() for day in days if day < self.history_start_date}
        return sorted(early)

    def missing(self, through: date) -> list[date]:
        """Arrival days up to ``through`` that never landed, since the first that landed or has files.

        Counting from the first day with files, not from the first landed one, lets a backfill begin at its
        end.
        """
        first = min(filter(None, (self.first_day, through)))
        return [day for day in days_between(first, through) if day not in self.landed]

    def contiguous_from(self, day: date) -> date:
        """The last day from ``day`` on up to which no arrival day is missing."""
        while day + DAY in self.landed:
            day += DAY
        return day

    @cached_property
    def delivers_since(self) -> Mapping[str, date]:
        """Table → the first day on which it delivered a file; without those that never did."""
        first = {table: min(days) for table, days in self.files.items() if days}
        for day in sorted(self.landed, reverse=True):
            for table in self.landed[day]:
                first[table] = min(day, first.get(table, day))
        return first

    def is_due(self, table: str, day: date) -> bool:
        """Whether a day cannot land without a file of the table.

        What landed once with a file is due again: otherwise a file that a clean-up has taken away would
        take its rows with it.
        """
        if table in self.landed.get(day, ()):
            return True
        first = self.delivers_since.get(table)
        if self.named_feeds is not None:
            return table in self.named_feeds and (first is None or first <= day)
        return not CONTRACTS[table].may_be_absent and first is not None and first <= day

    def _days_with_files(self) -> Iterable[date]:
        for table, days in self.files.items():
            if not CONTRACTS[table].may_be_absent:
                yield from (day for day in days if day >= self.history_start_date)


def _landed(settings: Settings) -> dict[date, frozenset[str]]:
    warehouse = warehouse_of(settings)
    ledger = ops_table(settings, "run_ledger")
    if warehouse.find_table(ledger) is None:
        return {}
    rows = warehouse.run(
        "select run_date, string_agg(if(files > 0, table_name, null)) as tables "
        f"from `{ledger}` where step = 'land' and run_date >= date '{settings.history_start_date}' "
        "group by run_date"
    )
    return {row.run_date: frozenset((row.tables or "").split(",")) - {""} for row in rows}
