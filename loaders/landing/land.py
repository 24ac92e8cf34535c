"""Arrival days into raw: read and check every file first, then replace all tables in one transaction."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from google.cloud import bigquery

from loaders.landing import subjects
from loaders.landing.check import split
from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError, Refusal
from loaders.landing.files import day_files, file_digest, read_batches
from loaders.landing.row import LandingRow
from loaders.landing.schema import bigquery_schema, columns_of, raw_arrow_schema
from loaders.landing.scratch import Scratch
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.erasures import ErasedSubjects, SubjectKind, record_erased, subject_hash
from loaders.warehouse.ops import RUN_LEDGER, ensure_ops_tables, literal, ops_table
from segue.settings import Settings

log = structlog.get_logger(__name__)

QUARANTINE_SCHEMA = (
    bigquery.SchemaField("arrival_date", "DATE", description="Day of the landing folder."),
    bigquery.SchemaField("landing_file", "STRING", description="File below the landing root."),
    bigquery.SchemaField("landing_row", "INT64", description="Row in the file, from 1."),
    bigquery.SchemaField("column_name", "STRING", description="First column that broke its contract."),
    bigquery.SchemaField("reason", "STRING", description="Every broken rule of the row."),
    bigquery.SchemaField("payload", "STRING", description="The row as JSON, or the line as it was."),
)
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
_LEDGER_ARROW = pa.schema(
    [
        ("run_date", pa.date32()),
        ("step", pa.string()),
        ("table_name", pa.string()),
        ("rows_in", pa.int64()),
        ("rows_out", pa.int64()),
        ("rows_quarantined", pa.int64()),
        ("files", pa.int64()),
        ("content_hash", pa.string()),
        ("changed_at", pa.timestamp("us", tz="UTC")),
        ("detail", pa.string()),
        ("finished_at", pa.timestamp("us", tz="UTC")),
        ("rows_erased", pa.int64()),
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


def land_days(
    settings: Settings, days: Sequence[date], tables: Iterable[str] | None = None
) -> list[TableLanding]:
    """Land arrival days; each replaces what raw and quarantine held of it. Landing again gives the same rows.

    Every file of every table is read and checked before anything is replaced.

    Raises:
        LandingError: a file is missing, unreadable, or breaks its contract as a whole, or too many rows do;
            raw still holds what it held. Names file, column and reason.
        WarehouseError: a load job or the transaction failed; nothing was replaced.
    """
    warehouse = warehouse_of(settings)
    contracts = [CONTRACTS[name] for name in (tables or CONTRACTS)]
    while True:
        erased = ErasedSubjects.read(warehouse)
        landings, too_many = _land_once(warehouse, contracts, days, erased)
        also = {each for landing in landings for each in landing.also_erased}
        if also:
            _list_also_erased(warehouse, also)
        # Who was erased while their rows were on the way is left out by landing again.
        if not ErasedSubjects.read(warehouse).beyond(erased):
            break
    if too_many:
        raise LandingError("; ".join(too_many))
    log.info(
        "landed",
        days=f"{days[0]}..{days[-1]}",
        rows_in=sum(landing.rows_in for landing in landings),
        rows_quarantined=sum(landing.rows_quarantined for landing in landings),
    )
    return landings


def _land_once(
    warehouse: Warehouse, contracts: Sequence[type[LandingRow]], days: Sequence[date], erased: ErasedSubjects
) -> tuple[list[TableLanding], list[str]]:
    """Replace the days without whoever is erased; returns the counts and the tables' days with too many."""
    scratch = Scratch(warehouse)
    try:
        landings, too_many = _read_and_check(warehouse.settings, scratch, contracts, days, erased)
        _ensure_tables(warehouse, contracts)
        # Refused rows are shown even when the day itself is not accepted.
        replacing = [] if too_many else landings
        _replace(warehouse, scratch, contracts, days, replacing, only_quarantine=bool(too_many))
    finally:
        scratch.close()
    return landings, too_many


def _read_and_check(
    settings: Settings,
    scratch: Scratch,
    contracts: Sequence[type[LandingRow]],
    days: Sequence[date],
    erased: ErasedSubjects,
) -> tuple[list[TableLanding], list[str]]:
    """Write accepted and refused rows to scratch; returns the counts and the tables' days with too many."""
    landings, too_many = [], []
    for contract in contracts:
        for day in days:
            landing = _read_day(settings, scratch, contract, day, erased)
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
    settings: Settings, scratch: Scratch, contract: type[LandingRow], day: date, erased: ErasedSubjects
) -> TableLanding:
    landing = TableLanding(contract.table, day)
    digest = hashlib.sha256(repr((columns_of(contract), contract.rules)).encode())
    for file in day_files(settings, contract, day):
        landing.files += 1
        digest.update(file.name.encode())
        digest.update(file_digest(file))
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
                scratch.write(contract.table, accepted.cast(_nullable(raw_arrow_schema(contract))))
            if refused:
                scratch.write(f"refused_{contract.table}", _quarantine_rows(day, refused))
    landing.content_hash = digest.hexdigest()
    return landing


def _list_also_erased(warehouse: Warehouse, also: set[tuple[str, SubjectKind, str]]) -> None:
    """A subscription that an erased account comes back with is erased too: others may name only that."""
    settings = warehouse.settings
    log.warning(
        "erased_accounts_came_back", new_ids=len(also), hint="erase them again, for what landed before"
    )
    for account in sorted({account for account, _, _ in also}):
        theirs = sorted((kind, value) for of, kind, value in also if of == account)
        record_erased(
            warehouse,
            str(uuid.uuid4()),
            [(kind, subject_hash(settings, value)) for kind, value in [("account", account), *theirs]],
            "found",
            {},
        )


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


def _ensure_tables(warehouse: Warehouse, contracts: Sequence[type[LandingRow]]) -> None:
    settings = warehouse.settings
    ensure_ops_tables(warehouse)
    for dataset in (settings.raw_dataset, settings.quarantine_dataset):
        warehouse.ensure_dataset(dataset)
    for contract in contracts:
        warehouse.ensure_table(
            f"{settings.project_id}.{settings.raw_dataset}.{contract.table}",
            bigquery_schema(contract),
            partition_field="arrival_date",
            description=f"Landed rows of {contract.table}, as delivered, by arrival day.",
        )
        warehouse.ensure_table(
            f"{settings.project_id}.{settings.quarantine_dataset}.{contract.table}",
            QUARANTINE_SCHEMA,
            partition_field="arrival_date",
            description=f"Rows of {contract.table} that broke their contract, with the reason.",
        )


def _replace(
    warehouse: Warehouse,
    scratch: Scratch,
    contracts: Sequence[type[LandingRow]],
    days: Sequence[date],
    landings: Sequence[TableLanding],
    *,
    only_quarantine: bool = False,
) -> None:
    """One transaction: quarantine, raw and ledger of the days, with the counts checked inside it."""
    settings = warehouse.settings
    days_filter = _days_filter(days)
    statements = ["begin transaction"]
    for contract in contracts:
        name = contract.table
        if not only_quarantine:
            schema = bigquery_schema(contract)
            statements += _refill(
                f"{settings.project_id}.{settings.raw_dataset}.{name}",
                schema,
                scratch.load(name, _as_written(schema)) if scratch.has(name) else None,
                days_filter,
                sum(landing.rows_out for landing in landings if landing.table == name),
            )
        refused = f"refused_{name}"
        statements += _refill(
            f"{settings.project_id}.{settings.quarantine_dataset}.{name}",
            QUARANTINE_SCHEMA,
            scratch.load(refused, QUARANTINE_SCHEMA) if scratch.has(refused) else None,
            days_filter,
            None
            if only_quarantine
            else sum(landing.rows_quarantined for landing in landings if landing.table == name),
        )
    if landings:
        # By a load job like all other rows: a year of days is too long for one INSERT … VALUES.
        unchanged = _unchanged(warehouse, days)
        rows = [_ledger_row(landing, unchanged) for landing in landings]
        scratch.write("run_ledger", pa.Table.from_pylist(rows, _LEDGER_ARROW))
        ledger = ops_table(settings, "run_ledger")
        names = ", ".join(literal(contract.table) for contract in contracts)
        written = ", ".join(_LEDGER_ARROW.names)
        source = scratch.load("run_ledger", RUN_LEDGER)
        statements += [
            f"delete from `{ledger}` where step = 'land' and {days_filter.format('run_date')} "
            f"and table_name in ({names})",
            f"insert into `{ledger}` ({written}) select {written} from `{source}`",
        ]
    statements.append("commit transaction")
    scratch.wait()
    warehouse.run(";\n".join(statements) + ";", labels={"step": "land"})


def _days_filter(days: Sequence[date]) -> str:
    """A constant filter on the column to be filled in: a range when the days are consecutive, else a list."""
    first, last = min(days), max(days)
    if (last - first).days + 1 == len(set(days)):
        return f"{{}} between {literal(first)} and {literal(last)}"
    return f"{{}} in ({', '.join(literal(day) for day in days)})"


def _as_written(schema: Sequence[bigquery.SchemaField]) -> list[bigquery.SchemaField]:
    """The scratch table's columns: a Parquet file has no JSON, only its text."""
    return [
        bigquery.SchemaField(field.name, "STRING") if field.field_type == "JSON" else field
        for field in schema
    ]


def _refill(
    table: str,
    schema: Sequence[bigquery.SchemaField],
    source: str | None,
    days_filter: str,
    rows: int | None,
) -> list[str]:
    """Replace the days of a table by the scratch rows, and fail the transaction when the count is another."""
    where = days_filter.format("arrival_date")
    statements = [f"delete from `{table}` where {where}"]
    if source:
        names = ", ".join(f"`{field.name}`" for field in schema)
        values = ", ".join(
            f"parse_json(`{field.name}`, wide_number_mode => 'round')"
            if field.field_type == "JSON"
            else f"`{field.name}`"
            for field in schema
        )
        statements.append(f"insert into `{table}` ({names}) select {values} from `{source}`")
    if rows is not None and source:
        statements.append(
            f"select if((select count(*) from `{table}` where {where}) <> {rows}, "
            f"error('{table}: expected {rows} rows after landing'), 1)"
        )
    return statements


def _unchanged(warehouse: Warehouse, days: Sequence[date]) -> dict[tuple[str, date, str], datetime]:
    """When the files of a table's day, by their digest, were first what they are."""
    settings = warehouse.settings
    rows = warehouse.run(
        "select table_name, run_date, content_hash, changed_at "
        f"from `{ops_table(settings, 'run_ledger')}` "
        f"where step = 'land' and {_days_filter(days).format('run_date')}",
    )
    return {(row.table_name, row.run_date, row.content_hash): row.changed_at for row in rows}


def _ledger_row(landing: TableLanding, unchanged: dict[tuple[str, date, str], datetime]) -> dict[str, object]:
    now = datetime.now(UTC)
    detail = {"absent_columns": landing.absent_columns} if landing.absent_columns else {}
    return {
        "run_date": landing.day,
        "step": "land",
        "table_name": landing.table,
        "rows_in": landing.rows_in,
        "rows_out": landing.rows_out,
        "rows_quarantined": landing.rows_quarantined,
        "rows_erased": landing.rows_erased,
        "files": landing.files,
        "content_hash": landing.content_hash,
        "changed_at": unchanged.get((landing.table, landing.day, landing.content_hash)) or now,
        "detail": json.dumps(detail),
        "finished_at": now,
    }
