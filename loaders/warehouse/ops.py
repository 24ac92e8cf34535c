"""Operational tables: what was landed, validated, published and loaded, by day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse
from segue.settings import Settings


def _field(name: str, kind: str, description: str, mode: str = "NULLABLE") -> bigquery.SchemaField:
    return bigquery.SchemaField(name, kind, mode=mode, description=description)


RUN_LEDGER = (
    _field("run_date", "DATE", "Day of the hand-over: arrival day of a landing, segment day of a load."),
    _field("step", "STRING", "land | bigtable_load"),
    _field("table_name", "STRING", "Raw table or mart that rows were handed over from."),
    _field("rows_in", "INT64", "Rows found at the source."),
    _field("rows_out", "INT64", "Rows handed over."),
    _field(
        "rows_quarantined", "INT64", "Rows refused and kept aside; in = out + quarantined + erased + ignored."
    ),
    _field("files", "INT64", "Files read; null for steps without files."),
    _field("content_hash", "STRING", "Digest of the contract and files of a landing; null for other steps."),
    _field("changed_at", "TIMESTAMP", "When a landing last found other files than before."),
    _field(
        "detail",
        "STRING",
        "JSON with what else the step noted: absent nullable columns; ignored rows by kind and reason.",
    ),
    _field("finished_at", "TIMESTAMP", "When the hand-over was complete."),
    _field("rows_erased", "INT64", "Rows left out because their account was erased; null: 0."),
    _field("rows_ignored", "INT64", "Rows left out because they say nothing of subscriptions; null: 0."),
    _field("first_event_date", "DATE", "Earliest day that the rows of a landing belong to; null: its own."),
    _field(
        "file_generations",
        "STRING",
        "JSON: version by name of the files that landed, by which later runs see what has come or changed.",
    ),
)
CORRECTIONS = (
    _field("run_date", "DATE", "Arrival day whose rows are not what they were."),
    _field("table_name", "STRING", "Landed table."),
    _field("first_event_date", "DATE", "Earliest day that the changed rows belong to."),
    _field("rows_removed", "INT64", "Rows that are there no more."),
    _field("rows_added", "INT64", "Rows that were not there before."),
    _field("corrected_at", "TIMESTAMP", "When the day landed again."),
)
VALIDATION_RESULTS = (
    _field("run_date", "DATE", "Last day of the validated run."),
    _field("validation_id", "STRING", "One per run of the gate."),
    _field("start_date", "DATE", "First validated day."),
    _field("end_date", "DATE", "Last validated day."),
    _field("as_of_date", "DATE", "Last arrival day the run read."),
    _field("model", "STRING", "Validated model."),
    _field("expectation", "STRING", "Expectation type or its description."),
    _field("column", "STRING", "Column, null for expectations on rows."),
    _field("severity", "STRING", "critical | warning | info"),
    _field("success", "BOOL", "Whether the expectation held."),
    _field("unexpected_count", "INT64", "Offending rows, null where not counted."),
    _field("observed_value", "STRING", "What was observed instead, for aggregates."),
    _field("sample", "STRING", "JSON list of a few offending keys."),
    _field("validated_at", "TIMESTAMP", "When the gate ran."),
)
VERDICTS = (
    _field("run_date", "DATE", "Last day of the validated run."),
    _field("attempt", "STRING", "The audit dataset that was judged; every build has one of its own."),
    _field("model", "STRING", "Model that would be published."),
    _field("row_count", "INT64", "Rows that were judged."),
    _field("content_digest", "INT64", "Digest of those rows, whatever their order."),
    _field("failures", "INT64", "Critical expectations that failed in the whole run; 0: may be published."),
    _field("judged_at", "TIMESTAMP", "When the gate had judged; the last verdict on an attempt counts."),
)
PUBLICATIONS = (
    _field("run_date", "DATE", "Last day of the publishing run."),
    _field("publication_id", "STRING", "One per publication; all its marts became visible together."),
    _field("mart", "STRING", "Published mart."),
    _field("partition_date", "DATE", "Published day of the mart."),
    _field("row_count", "INT64", "Rows of the partition; without those of the movement `restated`."),
    _field("as_of_date", "DATE", "Last arrival day the rows were built from; newer knowledge wins."),
    _field("is_final", "BOOL", "No later event restates this day, and no correction is waiting."),
    _field("published_at", "TIMESTAMP", "When the publication became visible."),
    _field("raw_read_at", "TIMESTAMP", "When the run began to read raw."),
    _field("code_version", "STRING", "Digest of the SQL it was built by; for the subscription history only."),
    _field(
        "rows_erased", "INT64", "Built rows left out because their account was erased meanwhile; null: 0."
    ),
    _field("subjects_erased", "INT64", "Erased ids that were known then, and left out."),
    _field("attempt", "STRING", "The audit dataset that the rows were built and judged in."),
    _field("project_digest", "STRING", "SHA-256 of the dbt project that built them."),
    _field("override_reason", "STRING", "Why they were published against the gate; null: the gate let them."),
)
RESTATEMENTS = (
    _field("run_date", "DATE", "Last day of the restating run."),
    _field("publication_id", "STRING", "The publication that replaced the partition."),
    _field("mart", "STRING", "Restated mart."),
    _field("partition_date", "DATE", "Restated day of the mart."),
    _field(
        "measure",
        "STRING",
        "rows, a measure that the mart declares, or restated_mrr_usd_amount: what the day's movements hold "
        "of the day before that was known too late to restate it.",
    ),
    _field("value_before", "NUMERIC", "The partition's sum of the measure before; USD for amounts."),
    _field("value_after", "NUMERIC", "The same after."),
    _field("change", "NUMERIC", "value_after minus value_before."),
    _field("as_of_date", "DATE", "Last arrival day the new rows were built from."),
    _field("restated_at", "TIMESTAMP", "When the change became visible."),
)
DEAD_LETTERS = (
    _field("run_date", "DATE", "Day of the segments."),
    _field("generation_ms", "INT64", "Generation that the row is missing from."),
    _field("shard", "INT64", "Shard of the load."),
    _field("account_id", "STRING", "Account that the generation does not show."),
    _field("code", "STRING", "INVALID_ROW | KEY_TOO_LONG | VALUE_TOO_LARGE | a status code of Bigtable's."),
    _field("reason", "STRING", "The broken rule, or the server's words."),
    _field("refused_at", "TIMESTAMP", "When the shard gave the row up."),
)
ERASURES = (
    _field("run_date", "DATE", "Day of the erasure."),
    _field("erasure_id", "STRING", "One per batch of accounts that are erased together."),
    _field(
        "subject_kind", "STRING", "account | subscription | customer (a billing provider's id of a payer)"
    ),
    _field("subject_hash", "STRING", "SHA-256 of the salt and the id, in hex; never the id itself."),
    _field("state", "STRING", "begun | found (in a later landing, and left out of it) | proved"),
    _field(
        "proof",
        "STRING",
        "JSON, in one row of an erasure: rows removed and rows found afterwards, by table; cells; files.",
    ),
    _field("recorded_at", "TIMESTAMP", "When this row was written."),
)
EXPERIMENT_ALERTS = (
    _field("run_date", "DATE", "First day whose readout shows it."),
    _field("experiment_id", "STRING", "Experiment or holdout that must stop."),
    _field("experiment_version", "INT64", "Version of its declaration."),
    _field("owner", "STRING", "Who answers for it."),
    _field(
        "cause",
        "STRING",
        "sample_ratio | variant_mismatch | guardrail:<metric>:<arm> | harm:<metric>:<arm>; raised once.",
    ),
    _field("detail", "STRING", "The reason in words, with its numbers."),
    _field("raised_at", "TIMESTAMP", "When it was found."),
    _field(
        "told_at", "TIMESTAMP", "When SEGUE_ALERT_CALLBACK was called, or the log written; null: not yet."
    ),
)
_TABLES: Mapping[str, tuple[Sequence[bigquery.SchemaField], str]] = {
    "run_ledger": (RUN_LEDGER, "Every hand-over of rows: in = out + quarantined + erased + ignored."),
    "corrections": (CORRECTIONS, "Arrival days that changed after they, or later days, had landed."),
    "validation_results": (VALIDATION_RESULTS, "Every expectation of every run of the gate."),
    "verdicts": (VERDICTS, "What the gate judged, and how; publication takes nothing else."),
    "publications": (PUBLICATIONS, "Every partition that was ever published."),
    "dead_letters": (DEAD_LETTERS, "Rows that a load into Bigtable could not write, with the reason."),
    "erasures": (ERASURES, "Accounts that were erased, as salted hashes, and the proof; refused ever after."),
    "experiment_alerts": (EXPERIMENT_ALERTS, "Why experiments had to stop; each cause once."),
    "restatements": (RESTATEMENTS, "What late events changed in days that had been published, by how much."),
}


def ops_table(settings: Settings, name: str) -> str:
    """Full name of an operational table, unquoted."""
    return f"{settings.project_id}.{settings.ops_dataset}.{name}"


def ensure_ops_tables(warehouse: Warehouse) -> None:
    """Create the operational tables that are missing."""
    _ensure(warehouse, _TABLES)


def _ensure(warehouse: Warehouse, names: Iterable[str]) -> None:
    settings = warehouse.settings
    warehouse.ensure_dataset(settings.ops_dataset)
    for name in names:
        schema, description = _TABLES[name]
        warehouse.ensure_table(
            ops_table(settings, name), schema, partition_field="run_date", description=description
        )


def literal(value: Any) -> str:
    """A GoogleSQL literal of a plain value.

    Raises:
        TypeError: there is no literal for the value's type.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat()}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, str):
        # JSON's escapes inside double quotes are GoogleSQL's, all but its surrogate pairs.
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"no literal for {type(value).__name__}")


def insert_statement(table_id: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """One INSERT … VALUES of small operational rows, to stand inside a transaction."""
    names = ", ".join(f"`{column}`" for column in columns)
    values = ",\n".join("(" + ", ".join(literal(row[column]) for column in columns) + ")" for row in rows)
    return f"insert into `{table_id}` ({names}) values {values}"


def append_rows(warehouse: Warehouse, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to an operational table, which is created when it is missing.

    Raises:
        WarehouseError: BigQuery did not take them.
    """
    _ensure(warehouse, [name])
    schema, _ = _TABLES[name]
    lines = "\n".join(json.dumps(dict(row), default=str) for row in rows)
    warehouse.append_json(ops_table(warehouse.settings, name), lines, schema)


def append_validation_results(warehouse: Warehouse, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the outcomes of one run of the gate."""
    append_rows(warehouse, "validation_results", rows)
