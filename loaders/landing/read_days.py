"""Reading a day's files: every row against its contract, the accepted and the refused ones into scratch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing import subjects
from loaders.landing.arrivals import Arrivals
from loaders.landing.check import split
from loaders.landing.errors import LandingError, Refusal
from loaders.landing.files import LandingFile, file_digest, opened, read_batches
from loaders.landing.listing import MANIFEST, TableDay, landing_store, table_days
from loaders.landing.manifest import Manifest, read_manifest
from loaders.landing.row import LandingRow
from loaders.landing.schema import columns_of, raw_arrow_schema
from loaders.landing.scratch import Scratch
from loaders.warehouse.erasures import ErasedSubjects, SubjectKind
from segue.settings import Settings
from segue.window import DAY

_QUARANTINE_ARROW = pa.schema(
    [
        ("arrival_date", pa.date32()),
        ("landing_file", pa.string()),
        ("landing_row", pa.int64()),
        ("column_name", pa.string()),
        ("reason", pa.string()),
        ("payload", pa.string()),
    ]
)
_FEW_REFUSALS = 20
"""Below this many refused rows, their share says nothing about a small table."""


@dataclass
class TableLanding:
    """What one arrival day of one table brought: in = out + quarantined + erased."""

    table: str
    day: date
    files: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_quarantined: int = 0
    rows_erased: int = 0
    """Rows left out because their account was erased."""
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
            elif table in settings.manifest_feeds and (each.found.files or arrivals.is_due(table, day)):
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
    landings, too_many = [], []
    for (contract, day), delivery in deliveries.items():
        landing = _read_day(settings, scratch, contract, day, delivery, erased)
        landings.append(landing)
        tolerated = max(_FEW_REFUSALS, settings.max_quarantined_share * landing.rows_in)
        if landing.rows_quarantined > tolerated:
            too_many.append(
                f"{landing.table}/{day}: {landing.rows_quarantined} of {landing.rows_in} rows break the "
                f"contract, more than {settings.max_quarantined_share:.0%}; "
                f"see {settings.quarantine_dataset}.{landing.table}"
            )
    return landings, too_many


def _read_day(
    settings: Settings,
    scratch: Scratch,
    contract: type[LandingRow],
    day: date,
    delivery: Delivery,
    erased: ErasedSubjects,
) -> TableLanding:
    landing = TableLanding(contract.table, day, file_generations=delivery.found.generations)
    digest = hashlib.sha256(repr((columns_of(contract), contract.rules)).encode())
    store = landing_store(settings)
    for stored in delivery.found.files:
        rows_before = landing.rows_in
        with opened(store, stored) as file:
            landing.files += 1
            digest.update(file.name.encode())
            of_file = file_digest(file)
            digest.update(of_file)
            _read_file(settings, scratch, contract, file, erased, landing)
        if delivery.manifest:
            rows = landing.rows_in - rows_before
            delivery.manifest.refuse_other_content(delivery.found.folder, stored.base_name, rows, of_file)
    landing.content_hash = digest.hexdigest()
    return landing


def _read_file(
    settings: Settings,
    scratch: Scratch,
    contract: type[LandingRow],
    file: LandingFile,
    erased: ErasedSubjects,
    landing: TableLanding,
) -> None:
    day = landing.day
    for batch in read_batches(contract, file):
        accepted, refused = split(contract, batch.rows, day, file.name, batch.first_row)
        refused = [*batch.unreadable, *refused]
        landing.rows_in += accepted.num_rows + len(refused)
        if erased:
            accepted, refused = _without(erased, contract, accepted, refused, landing)
        landing.rows_out += accepted.num_rows
        landing.rows_quarantined += len(refused)
        if batch.absent_columns:
            landing.absent_columns[file.name] = list(batch.absent_columns)
        if accepted.num_rows:
            _note_event_days(settings, contract, accepted, landing)
            scratch.write(contract.table, accepted.cast(_nullable(raw_arrow_schema(contract))))
        if refused:
            scratch.write(f"refused_{contract.table}", _quarantine_rows(day, refused))


def _note_event_days(
    settings: Settings, contract: type[LandingRow], accepted: pa.Table, landing: TableLanding
) -> None:
    """Keep the earliest day that rows belong to, and how many are too old to restate theirs."""
    if contract.event_time is None:
        return
    days = pc.cast(accepted[contract.event_time], pa.date32())
    first = pc.min(days).as_py()
    landing.first_event_date = min(first, landing.first_event_date or first)
    if not contract.tells_again:
        restated = pa.scalar(landing.day - DAY * settings.restatement_days, pa.date32())
        landing.rows_late += pc.sum(pc.less(days, restated)).as_py() or 0


def _without(
    erased: ErasedSubjects,
    contract: type[LandingRow],
    accepted: pa.Table,
    refused: list[Refusal],
    landing: TableLanding,
) -> tuple[pa.Table, list[Refusal]]:
    """Leaves rows of erased accounts out, also of the quarantine, which keeps whole rows."""
    mask = subjects.rows_of(erased, contract, accepted)
    kept_rows = accepted.filter(pc.invert(mask))
    kept_refusals = [each for each in refused if not subjects.is_erased(erased, each)]
    landing.also_erased |= set(subjects.also_theirs(erased, contract, accepted.filter(mask)))
    landing.rows_erased += accepted.num_rows - kept_rows.num_rows + len(refused) - len(kept_refusals)
    return kept_rows, kept_refusals


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(f.name, f.type) for f in schema])


def _quarantine_rows(day: date, refused: Iterable[Refusal]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "arrival_date": day,
                "landing_file": refusal.file,
                "landing_row": refusal.row,
                "column_name": refusal.column,
                "reason": refusal.reason,
                "payload": refusal.payload,
            }
            for refusal in refused
        ],
        schema=_QUARANTINE_ARROW,
    )
