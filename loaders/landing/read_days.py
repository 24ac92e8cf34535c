"""Reading a day's files: every row against its contract, the accepted and the refused ones into scratch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from loaders.landing.arrivals import Arrivals
from loaders.landing.batch import Kind
from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError
from loaders.landing.listing import MANIFEST, TableDay, landing_store, table_days
from loaders.landing.manifest import Manifest, read_manifest
from loaders.landing.read_file import FileLanding, FileOfDay
from loaders.landing.row import LandingRow
from loaders.landing.schema import columns_of
from loaders.landing.scratch import Scratch
from loaders.landing.spread import read_files
from loaders.warehouse.erasures import ErasedSubjects, SubjectKind
from segue.settings import Settings
from segue.window import DAY

_FEW_REFUSALS = 20
"""Below this many refused rows, their share says nothing about a small table."""
_FEW_OF_A_KIND = 4
"""Up to so many refused rows of one kind say nothing: one message that is delivered again and again."""
_MOST_OF_A_KIND = 0.5
"""When more than this share of a kind is refused, the kind is lost, however many other rows there are."""


@dataclass
class TableLanding:
    """What one arrival day of one table brought: in = out + quarantined + erased + ignored."""

    table: str
    day: date
    files: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_quarantined: int = 0
    rows_erased: int = 0
    """Rows left out because their account was erased."""
    ignored: Counter[Kind] = field(default_factory=Counter)
    """Rows that say nothing of subscriptions, or are tests, by kind; they are not kept."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    refused_kinds: Counter[Kind] = field(default_factory=Counter)
    also_erased: set[tuple[str, SubjectKind, str]] = field(default_factory=set)
    """Account, kind and id of what such rows bring along that was not known to be erased."""
    absent_columns: dict[str, list[str]] = field(default_factory=dict)
    content_hash: str = ""
    """Digest of the contract and of the day's files, names and bytes: equal ones land as equal rows."""
    file_generations: Mapping[str, int] = field(default_factory=dict)
    """Generation by name of the files, and of the manifest, as they were listed."""
    first_event_date: date | None = None
    """The earliest day that an accepted row belongs to; None without rows or event times."""
    rows_late: int = 0
    """Accepted rows of days that are no longer restated when they arrive."""
    rows_not_verified: int = 0
    """Accepted rows that were signed, with signatures that nobody has verified."""

    @property
    def rows_ignored(self) -> int:
        """Rows of all kinds that are ignored."""
        return self.ignored.total()

    def add(self, name: str, file: FileLanding) -> None:
        """Count a file's rows."""
        self.files += 1
        self.rows_in += file.rows_in
        self.rows_out += file.rows_out
        self.rows_quarantined += file.rows_quarantined
        self.rows_erased += file.rows_erased
        self.ignored += file.ignored
        self.kinds += file.kinds
        self.refused_kinds += file.refused_kinds
        self.also_erased |= file.also_erased
        self.rows_late += file.rows_late
        self.rows_not_verified += file.rows_not_verified
        if file.absent_columns:
            self.absent_columns[name] = list(file.absent_columns)
        days = [day for day in (self.first_event_date, file.first_event_date) if day]
        self.first_event_date = min(days, default=None)


def reach(settings: Settings, day: date, landings: Iterable[TableLanding]) -> date:
    """The earliest day that rows which arrived on ``day`` belong to, at most ``restatement_days`` back.

    No day is before the history: nothing is published there.
    """
    events = [each.first_event_date for each in landings if each.day == day and each.first_event_date]
    earliest = max(day - DAY * settings.restatement_days, settings.history_start_date)
    return max(earliest, min([day, *events]))


@dataclass(frozen=True)
class Delivery:
    """What is to land of one table on one day, and the manifest that it is held to, if there is one."""

    found: TableDay
    manifest: Manifest | None = None

    @property
    def is_absent(self) -> bool:
        """Whether there is neither a file nor a manifest that says that there is none."""
        return not self.found.files and self.manifest is None


Deliveries = Mapping[tuple[type[LandingRow], date], Delivery]


def deliveries_of(
    settings: Settings,
    arrivals: Arrivals,
    contracts: Sequence[type[LandingRow]],
    days: Sequence[date],
) -> dict[tuple[type[LandingRow], date], Delivery]:
    """What has been delivered of every table and day.

    Raises:
        LandingError: a day has no file, a table that must have one or a manifest has none, or the files are
            others than those of the manifest.
        ObjectStoreError: the landing cannot be listed.
    """
    store = landing_store(settings)
    deliveries = {}
    for contract in contracts:
        for day, found in table_days(store, contract.table, days).items():
            deliveries[contract, day] = Delivery(found, read_manifest(store, found))
    for day in days:
        of_day = {contract.table: deliveries[contract, day] for contract in contracts}
        _refuse_absent(
            arrivals, day, [table for table, each in of_day.items() if each.is_absent], len(of_day)
        )
        for table, each in of_day.items():
            if each.manifest:
                each.manifest.refuse_other_files(each.found)
            elif table in settings.manifest_feeds and (each.found.delivered or arrivals.is_due(table, day)):
                raise LandingError(
                    f"{table}/{day}: no {MANIFEST} has arrived, and SEGUE_MANIFEST_FEEDS names {table}"
                )
    return deliveries


def _refuse_absent(arrivals: Arrivals, day: date, absent: Sequence[str], tables: int) -> None:
    if len(absent) == tables:
        raise LandingError(f"{day}: no file has arrived")
    due = [table for table in absent if arrivals.is_due(table, day)]
    gone = [f"{table}/{day}" for table in due if table in arrivals.landed.get(day, ())]
    if gone:
        raise LandingError(
            f"{', '.join(gone)}: what had landed is no longer there; if its rows are to go, put an empty "
            "file in its place"
        )
    if due:
        raise LandingError(
            f"{', '.join(f'{table}/{day}' for table in due)}: no file has arrived; when a feed has "
            "ended for good, SEGUE_FEEDS names those that go on"
        )


def read_and_check(
    settings: Settings,
    scratch: Scratch,
    deliveries: Deliveries,
    erased: ErasedSubjects,
) -> tuple[list[TableLanding], list[str]]:
    """Write accepted and refused rows to scratch; returns the counts and the tables' days with too many."""
    files = [
        FileOfDay(contract.table, day, stored)
        for (contract, day), delivery in deliveries.items()
        for stored in delivery.found.files
    ]
    landings: list[TableLanding] = []
    too_many: list[str] = []
    with read_files(settings, scratch, files, erased) as read:
        for (contract, day), delivery in deliveries.items():
            landing = _landing_of(contract, day, delivery, read)
            landings.append(landing)
            too_many += too_many_refusals(settings, landing)
    return landings, too_many


def too_many_refusals(settings: Settings, landing: TableLanding) -> Iterator[str]:
    """Sentences, when too large a share of the rows, or of the rows of a known kind, is refused.

    Rows that are ignored are no part of either: they could hide what is lost.
    """
    rows = landing.rows_in - landing.rows_ignored
    where = f"see {settings.quarantine_dataset}.{landing.table}"
    few = _FEW_REFUSALS
    if CONTRACTS[landing.table].is_reference:
        few = min(few, rows // 2)
    if rows and landing.rows_quarantined == rows and few < rows:
        yield f"{landing.table}/{landing.day}: not one of its {rows} rows keeps the contract; {where}"
    elif landing.rows_quarantined > max(few, settings.max_quarantined_share * rows):
        yield (
            f"{landing.table}/{landing.day}: {landing.rows_quarantined} of {rows} rows break the "
            f"contract, more than {settings.max_quarantined_share:.0%}; {where}"
        )
    share = max(_MOST_OF_A_KIND, settings.max_quarantined_share)
    for kind, refused in sorted(landing.refused_kinds.items(), key=lambda each: each[0].name):
        of_kind = landing.kinds[kind]
        if kind.is_known and refused > max(_FEW_OF_A_KIND, share * of_kind):
            yield (
                f"{landing.table}/{landing.day}: {refused} of {of_kind} rows of the kind {kind.shown_name} "
                f"break the contract, more than {share:.0%}; {where}"
            )


def _landing_of(
    contract: type[LandingRow], day: date, delivery: Delivery, read: Iterator[FileLanding]
) -> TableLanding:
    """A table's day from its files, which come next in ``read``."""
    landing = TableLanding(contract.table, day, file_generations=delivery.found.generations)
    rules = (columns_of(contract), contract.rules, contract.message_kind)
    digest = hashlib.sha256(repr(rules).encode())
    for stored, file in zip(delivery.found.files, read, strict=False):
        landing.add(stored.name, file)
        digest.update(stored.name.encode())
        digest.update(file.digest)
        if delivery.manifest and stored in delivery.found.delivered:
            delivery.manifest.refuse_other_content(
                delivery.found.folder, stored.base_name, file.rows_in, file.digest
            )
    landing.content_hash = digest.hexdigest()
    return landing
