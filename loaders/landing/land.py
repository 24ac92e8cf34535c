"""Arrival days into raw: read and check every file first, then replace all tables in one transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

import pyarrow as pa
import structlog
from google.cloud import bigquery

from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.corrections import correction_statement, days_to_compare
from loaders.landing.errors import LandingError
from loaders.landing.read_days import Deliveries, TableLanding, deliveries_of, reach, read_and_check
from loaders.landing.row import LandingRow
from loaders.landing.schema import bigquery_schema
from loaders.landing.scratch import Scratch
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.erasures import ErasedSubjects, SubjectKind, record_erased, subject_hash
from loaders.warehouse.ledger_time import ledger_time_expression
from loaders.warehouse.ops import (
    RUN_ID,
    RUN_LEDGER,
    ensure_ops_tables,
    literal,
    ops_table,
    this_run,
)
from segue.settings import Settings
from segue.telemetry import present_step
from segue.window import refuse_impossible_days

log = structlog.get_logger(__name__)

QUARANTINE_SCHEMA = (
    bigquery.SchemaField("arrival_date", "DATE", description="Day of the landing folder."),
    bigquery.SchemaField("landing_file", "STRING", description="File below the landing root."),
    bigquery.SchemaField("landing_row", "INT64", description="Row in the file, from 1."),
    bigquery.SchemaField("column_name", "STRING", description="First column that broke its contract."),
    bigquery.SchemaField("reason", "STRING", description="Every broken rule of the row."),
    bigquery.SchemaField("payload", "STRING", description="The row as JSON, or the line as it was."),
    RUN_ID,
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
        ("rows_ignored", pa.int64()),
        ("first_event_date", pa.date32()),
        ("file_generations", pa.string()),
    ]
)


def land_days(
    settings: Settings,
    days: Sequence[date],
    tables: Iterable[str] | None = None,
    arrivals: Arrivals | None = None,
    *,
    corrects: bool = True,
) -> list[TableLanding]:
    """Land arrival days; each replaces what raw and quarantine held of it. Landing again gives the same rows.

    Every file of every table is read and checked before anything is replaced. What changes in days that
    landed before goes into ``ops.corrections``, unless whoever lands builds those days with it
    (``corrects``). ``arrivals`` is what had arrived before, when it is known.

    Raises:
        LandingError: a file is missing, unreadable, not what its manifest says, or breaks its contract as a
            whole, or too many rows do; raw still holds what it held. Names file, column and reason.
        ImpossibleDaysError: no run would ever read one of the days.
        WarehouseError: a load job or the transaction failed; nothing was replaced.
    """
    refuse_impossible_days(settings, min(days), max(days))
    warehouse = warehouse_of(settings)
    contracts = [CONTRACTS[name] for name in (tables or CONTRACTS)]
    arrivals = arrivals or Arrivals.read(settings)
    deliveries = deliveries_of(settings, arrivals, contracts, days)
    compared = days_to_compare(days, arrivals.landed) if corrects else []
    while True:
        erased = ErasedSubjects.read(warehouse)
        landings, too_many = _land_once(warehouse, deliveries, days, compared, erased)
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
    _count(landings, deliveries)
    return landings


def _count(landings: Iterable[TableLanding], deliveries: Deliveries) -> None:
    """What landed, for who watches the step."""
    step = present_step()
    for (contract, _), delivery in deliveries.items():
        size = sum(each.size for each in delivery.found.files)
        step.count("segue.landing.bytes", size, table=contract.table)
    for landing in landings:
        step.count("segue.landing.files", landing.files, table=landing.table)
        for outcome, rows in (
            ("accepted", landing.rows_out),
            ("quarantined", landing.rows_quarantined),
            ("ignored", landing.rows_ignored),
            ("erased", landing.rows_erased),
        ):
            step.count("segue.landing.rows", rows, table=landing.table, outcome=outcome)


def _land_once(
    warehouse: Warehouse,
    deliveries: Deliveries,
    days: Sequence[date],
    compared: Collection[date],
    erased: ErasedSubjects,
) -> tuple[list[TableLanding], list[str]]:
    """Replace the days without whoever is erased; returns the counts and the tables' days with too many."""
    contracts = list(dict.fromkeys(contract for contract, _ in deliveries))
    scratch = Scratch(warehouse)
    try:
        landings, too_many = read_and_check(warehouse.settings, scratch, deliveries, erased)
        _ensure_tables(warehouse, contracts)
        if too_many:
            # Refused rows are shown even when the day itself is not accepted.
            _replace(warehouse, scratch, contracts, days, [], ())
        else:
            _replace(warehouse, scratch, contracts, days, landings, compared)
    finally:
        scratch.close()
    return landings, too_many


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
    compared: Collection[date],
) -> None:
    """One transaction: quarantine, raw and ledger of the days, with the counts checked inside it.

    Without ``landings`` the quarantine alone. Of days in ``compared`` the rows that change are recorded.
    """
    settings = warehouse.settings
    days_filter = _days_filter(days)
    unchanged = _unchanged(warehouse, days) if landings else {}
    entries = _load_entries(scratch, landings, unchanged) if landings else ""
    landed_at = f"(select max(finished_at) from `{entries}`)"
    statements = ["begin transaction"]
    if landings:
        # Not before: a run that begins to read while rows are loaded, or while another transaction is in the
        # way and this one is tried again, would seem to have read what lands here.
        now = ledger_time_expression(settings)
        statements.append(f"update `{entries}` set finished_at = {now} where true")
    for contract in contracts:
        name = contract.table
        if landings:
            schema = bigquery_schema(contract)
            raw = f"{settings.project_id}.{settings.raw_dataset}.{name}"
            rows = scratch.load(name, _as_written(schema)) if scratch.has(name) else None
            changed = {
                each.day: reach(settings, each.day, landings)
                for each in landings
                if each.table == name and each.day in compared and _key(each) not in unchanged
            }
            if changed:
                corrections = ops_table(settings, "corrections")
                statements.append(correction_statement(contract, raw, corrections, rows, changed, landed_at))
            count = sum(landing.rows_out for landing in landings if landing.table == name)
            statements += _refill(raw, schema, rows, days_filter, count)
        refused = f"refused_{name}"
        statements += _refill(
            f"{settings.project_id}.{settings.quarantine_dataset}.{name}",
            QUARANTINE_SCHEMA,
            scratch.load(refused, _as_written(QUARANTINE_SCHEMA)) if scratch.has(refused) else None,
            days_filter,
            sum(landing.rows_quarantined for landing in landings if landing.table == name)
            if landings
            else None,
        )
    if landings:
        ledger = ops_table(settings, "run_ledger")
        names = ", ".join(literal(contract.table) for contract in contracts)
        written = ", ".join(_LEDGER_ARROW.names)
        values = written.replace("changed_at", "coalesce(changed_at, finished_at)")
        statements += [
            f"delete from `{ledger}` where step = 'land' and {days_filter.format('run_date')} "
            f"and table_name in ({names})",
            f"insert into `{ledger}` ({written}, {RUN_ID.name}) "
            f"select {values}, {this_run()} from `{entries}`",
        ]
    statements.append("commit transaction")
    scratch.wait()
    warehouse.run(";\n".join(statements) + ";")


def _load_entries(
    scratch: Scratch,
    landings: Sequence[TableLanding],
    unchanged: Mapping[tuple[str, date, str], datetime],
) -> str:
    """Begin to load the ledger's new rows, which have no moment yet; returns the scratch table.

    By a load job like all other rows: a year of days is too long for one INSERT … VALUES.
    """
    rows = [_ledger_row(landing, unchanged.get(_key(landing))) for landing in landings]
    scratch.rows.write("run_ledger", pa.Table.from_pylist(rows, _LEDGER_ARROW))
    return scratch.load("run_ledger", RUN_LEDGER)


def _days_filter(days: Sequence[date]) -> str:
    """A constant filter on the column to be filled in: a range when the days are consecutive, else a list."""
    first, last = min(days), max(days)
    if (last - first).days + 1 == len(set(days)):
        return f"{{}} between {literal(first)} and {literal(last)}"
    return f"{{}} in ({', '.join(literal(day) for day in days)})"


def _as_written(schema: Sequence[bigquery.SchemaField]) -> list[bigquery.SchemaField]:
    """The scratch table's columns: a Parquet file has no JSON, only its text; the run is said at the end."""
    return [
        bigquery.SchemaField(field.name, "STRING") if field.field_type == "JSON" else field
        for field in schema
        if field is not RUN_ID
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
        values = ", ".join(_value(field) for field in schema)
        statements.append(f"insert into `{table}` ({names}) select {values} from `{source}`")
    if rows is not None and source:
        statements.append(
            f"select if((select count(*) from `{table}` where {where}) <> {rows}, "
            f"error('{table}: expected {rows} rows after landing'), 1)"
        )
    return statements


def _value(field: bigquery.SchemaField) -> str:
    if field is RUN_ID:
        return this_run()
    return (
        f"parse_json(`{field.name}`, wide_number_mode => 'round')"
        if field.field_type == "JSON"
        else f"`{field.name}`"
    )


def _unchanged(warehouse: Warehouse, days: Sequence[date]) -> dict[tuple[str, date, str], datetime]:
    """When the files of a table's day, by their digest, were first what they are."""
    settings = warehouse.settings
    rows = warehouse.run(
        "select table_name, run_date, content_hash, changed_at "
        f"from `{ops_table(settings, 'run_ledger')}` "
        f"where step = 'land' and {_days_filter(days).format('run_date')}",
    )
    return {(row.table_name, row.run_date, row.content_hash): row.changed_at for row in rows}


def _key(landing: TableLanding) -> tuple[str, date, str]:
    return landing.table, landing.day, landing.content_hash


def _ledger_row(landing: TableLanding, unchanged_since: datetime | None) -> dict[str, object]:
    detail: dict[str, object] = {}
    if landing.absent_columns:
        detail["absent_columns"] = landing.absent_columns
    if landing.rows_late:
        detail["rows_late"] = landing.rows_late
    if landing.rows_not_verified:
        detail["rows_not_verified"] = landing.rows_not_verified
    if landing.ignored:
        detail["ignored"] = [
            {"kind": kind.shown_name, "reason": kind.ignored, "rows": rows}
            for kind, rows in sorted(landing.ignored.items(), key=lambda each: each[0].name)
        ]
    return {
        "run_date": landing.day,
        "step": "land",
        "table_name": landing.table,
        "rows_in": landing.rows_in,
        "rows_out": landing.rows_out,
        "rows_quarantined": landing.rows_quarantined,
        "rows_erased": landing.rows_erased,
        "rows_ignored": landing.rows_ignored,
        "files": landing.files,
        "content_hash": landing.content_hash,
        "changed_at": unchanged_since,
        "detail": json.dumps(detail),
        # The transaction says when.
        "finished_at": None,
        "first_event_date": landing.first_event_date,
        "file_generations": json.dumps(dict(landing.file_generations)),
    }
