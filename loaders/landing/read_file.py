"""Reading one landing file: every row against its contract, the accepted and the refused ones kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing import subjects
from loaders.landing.batch import Kind
from loaders.landing.check import split
from loaders.landing.contracts import CONTRACTS
from loaders.landing.delivery import Receipt, opener
from loaders.landing.errors import Refusal
from loaders.landing.files import file_digest, opened, read_batches
from loaders.landing.kinds import kind_of_refusal
from loaders.landing.listing import landing_store
from loaders.landing.notifications.signatures import app_store_signatures
from loaders.landing.row import LandingRow
from loaders.landing.schema import raw_arrow_schema
from loaders.landing.scratch import ScratchRows
from loaders.objects.store import StoredObject
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


@dataclass(frozen=True)
class FileOfDay:
    """A file to read, and what it is read as."""

    table: str
    day: date
    stored: StoredObject


@dataclass
class FileLanding:
    """What one file brought: in = out + quarantined + erased + ignored."""

    digest: bytes
    """SHA-256 of its bytes."""
    rows_in: int = 0
    rows_out: int = 0
    rows_quarantined: int = 0
    rows_erased: int = 0
    ignored: Counter[Kind] = field(default_factory=Counter)
    """Rows that were left out, by their kind."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    """The other rows by their kind, where the table has kinds."""
    refused_kinds: Counter[Kind] = field(default_factory=Counter)
    """Those that broke the contract, erased ones included, by their kind."""
    also_erased: set[tuple[str, SubjectKind, str]] = field(default_factory=set)
    absent_columns: tuple[str, ...] = ()
    first_event_date: date | None = None
    rows_late: int = 0
    rows_not_verified: int = 0
    """Accepted rows that were signed, with signatures that nobody has verified."""


def read_file(settings: Settings, file: FileOfDay, erased: ErasedSubjects, rows: ScratchRows) -> FileLanding:
    """Read a file into ``rows``: accepted ones under the table's name, others under ``refused_<table>``.

    Raises:
        LandingError: it cannot be read, has changed since it was listed, or breaks its contract as a whole.
    """
    contract = CONTRACTS[file.table]
    receipt = Receipt(
        file.day,
        app_store_signatures(settings).open,
        settings.mapped_providers,
        settings.app_store_bundle_ids,
    )
    open_row = opener(contract.delivered, receipt)
    with opened(landing_store(settings), file.stored) as listed:
        source = replace(listed, receipt=receipt)
        landing = FileLanding(file_digest(source))
        for batch in read_batches(contract, source):
            accepted, refused = split(contract, batch, file.day, source.name, settings.mapped_providers)
            landing.rows_in += accepted.num_rows + len(refused) + batch.ignored.total()
            landing.ignored += batch.ignored
            landing.kinds += batch.kinds
            if contract.message_kind:
                landing.refused_kinds.update(
                    kind_of_refusal(contract.message_kind, each, open_row) for each in refused
                )
            if erased:
                accepted, refused = _without(erased, contract, accepted, refused, landing)
            landing.rows_out += accepted.num_rows
            if "signature" in accepted.column_names:
                unverified = pc.equal(accepted["signature"], "not_verified")
                landing.rows_not_verified += pc.sum(unverified).as_py() or 0
            landing.rows_quarantined += len(refused)
            landing.absent_columns = batch.absent_columns
            if accepted.num_rows:
                _note_event_days(settings, contract, file.day, accepted, landing)
                rows.write(file.table, accepted.cast(_nullable(raw_arrow_schema(contract))))
            if refused:
                rows.write(f"refused_{file.table}", _quarantine_rows(file.day, refused))
    return landing


def _note_event_days(
    settings: Settings, contract: type[LandingRow], day: date, accepted: pa.Table, landing: FileLanding
) -> None:
    """Keep the earliest day that rows belong to, and how many are too old to restate theirs."""
    if contract.event_time is None:
        return
    days = pc.cast(accepted[contract.event_time], pa.date32())
    if contract.replaces_by:
        # As far back as days are restated at all.
        reaches_back = pa.scalar(day - DAY * settings.restatement_days, pa.date32())
        replaces = accepted[contract.replaces_by].is_valid()
        days = pc.if_else(replaces, reaches_back, days)
    first = pc.min(days).as_py()
    landing.first_event_date = min(first, landing.first_event_date or first)
    if not contract.tells_again:
        restated = pa.scalar(day - DAY * settings.restatement_days, pa.date32())
        landing.rows_late += pc.sum(pc.less(days, restated)).as_py() or 0


def _without(
    erased: ErasedSubjects,
    contract: type[LandingRow],
    accepted: pa.Table,
    refused: list[Refusal],
    landing: FileLanding,
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
