"""The landing files of a converted export: written anew, they replace those that it had left before.

What a conversion writes is listed in ``_conversions/<export>/`` before it is written: one that was
interrupted is finished by converting again, and nothing stale stays behind.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from io import BytesIO
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.contracts import CONTRACTS, SubscriptionEvent
from loaders.landing.errors import LandingError
from loaders.landing.listing import day_of
from loaders.landing.period_map import ExportTerms
from loaders.landing.period_rows import PeriodsLanding
from loaders.landing.row import LandingRow
from loaders.landing.schema import arrow_schema
from loaders.objects.store import ObjectStore
from segue.window import DAY

_RECORDS: Final = "_conversions"
_OWN_DAYS: Final = "own-days"
_EVENTS: Final = "subscription_events"


@dataclass(frozen=True)
class Conversion:
    """What a file is converted as: the snapshot of an arrival day, or rows that arrive on their own days."""

    stem: str
    arrival_date: date | None
    terms: ExportTerms

    @property
    def record(self) -> str:
        """The name of the list of its files."""
        return f"{_RECORDS}/{self.stem}/{self.arrival_date or _OWN_DAYS}.json"

    def file(self, table: str, day: date) -> str:
        """The name of its rows of a table that arrive on a day."""
        return f"{table}/{day}/{self.stem}.parquet"

    def quiet_file(self, table: str, day: date) -> str:
        """The name of a file that says that nothing comes on a day; never that of an export of that day."""
        return f"{table}/{day}/{self.stem}.quiet.parquet"


def write_conversion(
    store: ObjectStore,
    conversion: Conversion,
    rows: Sequence[LandingRow],
    result: PeriodsLanding,
    landed: Collection[date],
    feeds: Collection[str],
) -> None:
    """Write every table's days as Parquet, remove what an earlier conversion left, and count in ``result``.

    A table that must come every day has a file, if an empty one, on every day up to the last.

    Raises:
        LandingError: something would change on a day that has landed; nothing was written.
        ObjectStoreError: an object cannot be read, written or removed.
    """
    if conversion.arrival_date is None:
        _refuse_snapshots_before(store, conversion)
        beside: set[str] = set()
    else:
        beside = _named_beside(store, conversion, rows)
    files = _files(conversion, rows, feeds)
    earlier = _recorded(store, conversion.record)
    if conversion.arrival_date:
        # Converted by mistake as rows of their own days: what landed of it, this snapshot replaces.
        by_days = _recorded(store, Conversion(conversion.stem, None, conversion.terms).record)
        earlier += [name for name in by_days if _day_of(name) not in landed]
    stale = sorted(set(earlier) - set(files))
    unwritten = _to_write(store, files, stale, landed)
    if conversion.terms.covers == "complete" and not result.withdraws_nothing:
        result.withdrawn = len(_named_before(store, conversion) - beside - _subscriptions_of(rows))
    _write_record(store, conversion, sorted({*files, *stale}))
    for name in unwritten:
        content = BytesIO()
        pq.write_table(files[name], content)
        store.write(name, content)
    for name in stale:
        store.delete(name)
    _write_record(store, conversion, sorted(files))
    _write_refused(store, conversion.stem, result)
    _count(rows, stale, result)


def _files(conversion: Conversion, rows: Sequence[LandingRow], feeds: Collection[str]) -> dict[str, pa.Table]:
    """Name → rows; empty ones on the days without rows of tables that must come every day."""
    by_day: dict[tuple[str, date], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_day[row.table, row.ingested_at.date()].append(row.model_dump())
    first, last = min(day for _, day in by_day), max(day for _, day in by_day)
    files = {conversion.file(table, day): _table(table, found) for (table, day), found in by_day.items()}
    daily = {table for table, _ in by_day if not CONTRACTS[table].may_be_absent} | set(feeds)
    until = last + DAY * (conversion.terms.every_days - 1) if conversion.arrival_date else last
    for table in sorted(daily):
        for number in range((until - first).days + 1):
            day = first + DAY * number
            if day > last:
                files[conversion.quiet_file(table, day)] = _table(table, [])
            else:
                files.setdefault(conversion.file(table, day), _table(table, []))
    return files


def _table(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(CONTRACTS[table])])
    return pa.Table.from_pylist(rows, schema=schema)


def _to_write(
    store: ObjectStore, files: Mapping[str, pa.Table], stale: Collection[str], landed: Collection[date]
) -> list[str]:
    """The files that are not there as they are to be: none of them on a day that has landed.

    Raises:
        LandingError: rows would come to, or be taken from, days that have landed.
    """
    settled = {name for name in files if _day_of(name) in landed}
    changed = [name for name in sorted(settled) if not _is_there(store, name, files[name])]
    # An empty file brings nothing to a day that has landed without it.
    late = [name for name in changed if files[name].num_rows or store.find(name)]
    late += [name for name in stale if _day_of(name) in landed]
    if late:
        days = sorted({str(_day_of(name)) for name in late})
        raise LandingError(
            f"{late[0]}: its rows have changed and {', '.join(days[:3])}"
            f"{f' and {len(days) - 3} more days' if len(days) > 3 else ''} have landed; convert it with "
            "--arrival-date, the day on which this export arrives (later than those that have landed)"
        )
    return [name for name in files if name not in settled]


def _is_there(store: ObjectStore, name: str, table: pa.Table) -> bool:
    content, _ = store.read(name)
    return bool(content) and bool(pq.read_table(BytesIO(content)).cast(table.schema).equals(table))


def _subscriptions_of(rows: Sequence[LandingRow]) -> set[str]:
    return {row.subscription_id for row in rows if isinstance(row, SubscriptionEvent)}


def _named_before(store: ObjectStore, conversion: Conversion) -> set[str]:
    """The subscriptions that the export of this name before this one named.

    Told by the files that are still in the landing; the marts go by what has landed.
    """
    named: set[str] = set()
    latest: date | None = None
    for day, record in _records_before(store, conversion):
        if latest and day < latest:
            break
        content = json.loads(store.read(record)[0] or b"{}")
        if content.get("export") == conversion.terms.name:
            latest = day
            named |= _subscriptions(store, content["files"])
    return named


def _named_beside(store: ObjectStore, conversion: Conversion, rows: Sequence[LandingRow]) -> set[str]:
    """The subscriptions that other files of the same export and day name: it may come in parts.

    Raises:
        LandingError: one of them is named here too; which of the two counts nobody could say.
    """
    beside: set[str] = set()
    mine = _subscriptions_of(rows)
    for stored in store.objects(f"{_RECORDS}/"):
        if stored.base_name != f"{conversion.arrival_date}.json" or stored.name == conversion.record:
            continue
        content = json.loads(store.read(stored.name)[0])
        if content["export"] == conversion.terms.name:
            theirs = _subscriptions(store, content["files"])
            twice = len(theirs & mine)
            if twice:
                other = stored.name.split("/")[1]
                raise LandingError(
                    f"{conversion.stem}: {twice:,} of its subscriptions are in {other} as well, for the same "
                    f"export and arrival day; convert the corrected file under the name {other}, or for "
                    "another day"
                )
            beside |= theirs
    return beside


def _records_before(store: ObjectStore, conversion: Conversion) -> Iterator[tuple[date, str]]:
    """Arrival day and record of earlier snapshots, the latest first."""
    assert conversion.arrival_date
    found = []
    for stored in store.objects(f"{_RECORDS}/"):
        day = day_of(stored.base_name.removesuffix(".json"))
        if day and day < conversion.arrival_date:
            found.append((day, stored.name))
    return iter(sorted(found, reverse=True))


def _subscriptions(store: ObjectStore, files: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for name in files:
        if name.startswith(f"{_EVENTS}/"):
            content, _ = store.read(name)
            if content:
                column = pq.read_table(BytesIO(content), columns=["subscription_id"])["subscription_id"]
                found |= set(column.to_pylist())
    return found


def _refuse_snapshots_before(store: ObjectStore, conversion: Conversion) -> None:
    prefix = f"{_RECORDS}/{conversion.stem}/"
    days = [day_of(each.base_name.removesuffix(".json")) for each in store.objects(prefix)]
    arrived = sorted(day for day in days if day)
    if arrived:
        raise LandingError(
            f"{conversion.stem}: has been converted as what arrived on {arrived[-1]}; give --arrival-date "
            "for this one too: rows on days of their own would stand beside that"
        )


def _recorded(store: ObjectStore, record: str) -> list[str]:
    content, _ = store.read(record)
    return list(json.loads(content)["files"]) if content else []


def _write_record(store: ObjectStore, conversion: Conversion, files: Sequence[str]) -> None:
    content = {"export": conversion.terms.name, "files": files}
    store.write(conversion.record, json.dumps(content, indent=1).encode())


def _write_refused(store: ObjectStore, stem: str, result: PeriodsLanding) -> None:
    name = f"_refused/{stem}.ndjson"
    if result.refused:
        lines = [json.dumps(asdict(refusal), ensure_ascii=False) + "\n" for refusal in result.refused]
        store.write(name, "".join(lines).encode())
    else:
        store.delete(name)


def _count(rows: Sequence[LandingRow], stale: Sequence[str], result: PeriodsLanding) -> None:
    arrivals = [row.ingested_at.date() for row in rows]
    result.first_arrival, result.last_arrival = min(arrivals), max(arrivals)
    result.rows = dict(Counter(row.table for row in rows))
    result.files_removed = len(stale)


def _day_of(name: str) -> date | None:
    with suppress(IndexError):
        return day_of(name.split("/")[1])
    return None
