"""What lies in the landing: the days of each table, and the files of a table's day."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import dropwhile

from loaders.landing.errors import LandingError
from loaders.objects.store import ObjectStore, StoredObject, open_store
from segue.settings import Settings
from segue.window import DAY

MANIFEST = "_manifest.json"
"""In a table's day folder: what the day consists of, by whoever delivers it."""
OWN_FILES = "segue_"
"""In a table's day folder: what the platform has made itself. No deliverer's manifest speaks of it, and
nobody waits for more of it."""
_HIDDEN = (".", "_")
"""Names that begin so are nobody's, but for the manifest's."""


@lru_cache(maxsize=8)
def landing_store(settings: Settings) -> ObjectStore:
    """The objects below the landing root, opened once in a process."""
    return open_store(settings, settings.landing_files_root)


@dataclass(frozen=True)
class TableDay:
    """What has been delivered of one table on one arrival day, as it was listed."""

    table: str
    day: date
    files: tuple[StoredObject, ...] = ()
    manifest: StoredObject | None = None

    @property
    def folder(self) -> str:
        """<table>/<day>, as messages name it."""
        return f"{self.table}/{self.day}"

    @property
    def delivered(self) -> tuple[StoredObject, ...]:
        """The files that others have brought."""
        return tuple(each for each in self.files if not each.base_name.startswith(OWN_FILES))

    @property
    def generations(self) -> Mapping[str, int]:
        """Generation by file name, the manifest's included."""
        listed = [*self.files, *([self.manifest] if self.manifest else [])]
        return {each.base_name: each.generation for each in listed}

    @property
    def changed_at(self) -> datetime | None:
        """When the youngest of what was delivered was written; None when nothing was."""
        times = [each.updated_at for each in self.delivered]
        return max([*times, *([self.manifest.updated_at] if self.manifest else [])], default=None)


def table_days(store: ObjectStore, table: str, days: Collection[date]) -> dict[date, TableDay]:
    """What lies in each of the days' folders of a table, by one listing for each range without gaps.

    Raises:
        LandingError: there is a folder among a day's files.
        ObjectStoreError: the landing cannot be listed.
    """
    files: dict[date, list[StoredObject]] = {day: [] for day in days}
    manifests: dict[date, StoredObject] = {}
    for first, last in _ranges(days):
        start, end = f"{table}/{first}/", f"{table}/{last + DAY}"
        for stored in store.objects(f"{table}/", start=start, end=end):
            _, folder, name = stored.name.split("/", 2)
            day = day_of(folder)
            if day not in files:
                continue
            if name == MANIFEST:
                manifests[day] = stored
            elif not any(part.startswith(_HIDDEN) for part in name.split("/")):
                if "/" in name:
                    raise LandingError(
                        f"{table}/{day}/{name.split('/')[0]}: a folder; files lie in the day's folder itself"
                    )
                files[day].append(stored)
    return {day: TableDay(table, day, tuple(files[day]), manifests.get(day)) for day in files}


def folders(
    store: ObjectStore, tables: Collection[str]
) -> tuple[dict[str, frozenset[date]], tuple[str, ...]]:
    """Days with something in them by table, and the paths that nothing reads.

    Raises:
        ObjectStoreError: the landing cannot be listed.
    """
    found: dict[str, frozenset[date]] = {}
    top = store.level("")
    strays = [name for name in (*top.folders, *top.objects) if name not in tables or name in top.objects]
    for table in top.folders:
        if table in tables:
            level = store.level(f"{table}/")
            named = {name: day_of(name) for name in level.folders}
            found[table] = frozenset(day for day in named.values() if day)
            strays += [f"{table}/{name}" for name in level.objects]
            strays += [f"{table}/{name}" for name, day in named.items() if day is None]
    return found, tuple(sorted(stray for stray in strays if not stray.rpartition("/")[2].startswith(_HIDDEN)))


def from_the_first_delivery(
    store: ObjectStore, table: str, days: Collection[date], known: Collection[date]
) -> frozenset[date]:
    """The days from the first on that somebody has delivered anything into; ``known`` ones need no look.

    A bucket may hold the marker of a folder that nothing was ever put into, and what the first days are
    decides on what is missing.

    Raises:
        ObjectStoreError: the landing cannot be listed.
    """

    def holds_nothing(day: date) -> bool:
        listed = store.objects(f"{table}/{day}/")
        return all(each.base_name.startswith(_HIDDEN) and each.base_name != MANIFEST for each in listed)

    return frozenset(dropwhile(lambda day: day not in known and holds_nothing(day), sorted(days)))


def day_of(name: str) -> date | None:
    """The day that a folder is named by: YYYY-MM-DD and no other of the ISO forms."""
    with suppress(ValueError):
        day = date.fromisoformat(name)
        return day if str(day) == name else None
    return None


def _ranges(days: Collection[date]) -> Iterator[tuple[date, date]]:
    """First and last day of every range without gaps."""
    ordered = sorted(set(days))
    first: date | None = None
    for place, day in enumerate(ordered):
        first = first or day
        if place + 1 == len(ordered) or ordered[place + 1] != day + DAY:
            yield first, day
            first = None
