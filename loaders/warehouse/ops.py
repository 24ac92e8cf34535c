"""Operational tables: what was landed, validated, published and loaded, by day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse
from segue.logs import bound_run_id
from segue.settings import Settings


def column(name: str, kind: str, description: str, mode: str = "NULLABLE") -> bigquery.SchemaField:
    """A described column of a table that this code creates."""
    return bigquery.SchemaField(name, kind, mode=mode, description=description)


RUN_ID: Final = column(
    "run_id",
    "STRING",
    "The run that wrote the row: Airflow's id, or by_hand__<time>; every line that it logs has it. Null: it "
    "was written outside of a run, or before there was this column.",
)
RUN_LEDGER = (
    column("run_date", "DATE", "Arrival day of a landing, segment day of a load, day that a model scored."),
    column("step", "STRING", "land | score | bigtable_load"),
    column(
        "table_name",
        "STRING",
        "Raw table or mart that rows were handed over from; of step score the model, in shadow "
        "<model>__shadow.",
    ),
    column("rows_in", "INT64", "Rows found at the source."),
    column("rows_out", "INT64", "Rows handed over."),
    column(
        "rows_quarantined", "INT64", "Rows refused and kept aside; in = out + quarantined + erased + ignored."
    ),
    column("files", "INT64", "Files read; null for steps without files."),
    column(
        "content_hash",
        "STRING",
        "Digest of the contract and files of a landing; of step score the artifact, null where a "
        "retirement, a rollback or their age ended the scores; null for loads.",
    ),
    column("changed_at", "TIMESTAMP", "When a landing last found other files than before."),
    column(
        "detail",
        "STRING",
        "JSON with what else the step noted: absent nullable columns; ignored rows by kind and reason; of "
        "step score the version, max_age_days of its scores, why it failed, and whether scores ended.",
    ),
    column("finished_at", "TIMESTAMP", "When the hand-over was complete."),
    column("rows_erased", "INT64", "Rows left out because their account was erased; null: 0."),
    column("rows_ignored", "INT64", "Rows left out because they say nothing of subscriptions; null: 0."),
    column("first_event_date", "DATE", "Earliest day that the rows of a landing belong to; null: its own."),
    column(
        "file_generations",
        "STRING",
        "JSON: version by name of the files that landed, by which later runs see what has come or changed.",
    ),
)
CORRECTIONS = (
    column("run_date", "DATE", "Arrival day whose rows are not what they were."),
    column("table_name", "STRING", "Landed table."),
    column("first_event_date", "DATE", "Earliest day that the changed rows belong to."),
    column("rows_removed", "INT64", "Rows that are there no more."),
    column("rows_added", "INT64", "Rows that were not there before."),
    column("corrected_at", "TIMESTAMP", "When the day landed again."),
)
VALIDATION_RESULTS = (
    column("run_date", "DATE", "Last day of the validated run."),
    column("validation_id", "STRING", "One per run of the gate."),
    column("attempt", "STRING", "The audit dataset that was judged; null for what is no run."),
    column("start_date", "DATE", "First validated day."),
    column("end_date", "DATE", "Last validated day."),
    column("as_of_date", "DATE", "Last arrival day the run read."),
    column("model", "STRING", "Validated model."),
    column("expectation", "STRING", "Expectation type or its description."),
    column("column", "STRING", "Column, null for expectations on rows."),
    column("severity", "STRING", "critical | warning | info"),
    column("success", "BOOL", "Whether the expectation held."),
    column("unexpected_count", "INT64", "Offending rows, null where not counted."),
    column("observed_value", "STRING", "What was observed instead, for aggregates."),
    column("sample", "STRING", "JSON list of a few offending keys."),
    column("validated_at", "TIMESTAMP", "When the gate ran."),
)
VERDICTS = (
    column("run_date", "DATE", "Last day of the validated run."),
    column("attempt", "STRING", "The audit dataset that was judged; every build has one of its own."),
    column("model", "STRING", "Model that would be published."),
    column("row_count", "INT64", "Rows that were judged."),
    column("content_digest", "INT64", "Digest of those rows, whatever their order."),
    column("failures", "INT64", "Critical expectations that failed in the whole run; 0: may be published."),
    column("judged_at", "TIMESTAMP", "When the gate had judged; the last verdict on an attempt counts."),
)
PUBLICATIONS = (
    column("run_date", "DATE", "Last day of the publishing run."),
    column("publication_id", "STRING", "One per publication; all its marts became visible together."),
    column("mart", "STRING", "Published mart."),
    column("partition_date", "DATE", "Published day of the mart."),
    column("row_count", "INT64", "Rows of the partition; without those of the movement `restated`."),
    column("as_of_date", "DATE", "Last arrival day the rows were built from; newer knowledge wins."),
    column("is_final", "BOOL", "No later event restates this day, and no correction is waiting."),
    column("published_at", "TIMESTAMP", "When the publication became visible."),
    column("raw_read_at", "TIMESTAMP", "Moment of the last landing that the run has read."),
    column("code_version", "STRING", "Digest of the SQL it was built by; for the subscription history only."),
    column(
        "rows_erased", "INT64", "Built rows left out because their account was erased meanwhile; null: 0."
    ),
    column("subjects_erased", "INT64", "Erased ids that were known then, and left out."),
    column("attempt", "STRING", "The audit dataset that the rows were built and judged in."),
    column("project_digest", "STRING", "SHA-256 of the dbt project that built them."),
    column("override_reason", "STRING", "Why they were published against the gate; null: the gate let them."),
)
RESTATEMENTS = (
    column("run_date", "DATE", "Last day of the restating run."),
    column("publication_id", "STRING", "The publication that replaced the partition."),
    column("mart", "STRING", "Restated mart."),
    column("partition_date", "DATE", "Restated day of the mart."),
    column(
        "measure",
        "STRING",
        "rows, a measure that the mart declares, or restated_mrr_usd_amount: what the day's movements hold "
        "of the day before that was known too late to restate it.",
    ),
    column("value_before", "NUMERIC", "The partition's sum of the measure before; USD for amounts."),
    column("value_after", "NUMERIC", "The same after."),
    column("change", "NUMERIC", "value_after minus value_before."),
    column("as_of_date", "DATE", "Last arrival day the new rows were built from."),
    column("restated_at", "TIMESTAMP", "When the change became visible."),
)
DEAD_LETTERS = (
    column("run_date", "DATE", "Day of the segments."),
    column("generation_ms", "INT64", "Generation that the row is missing from."),
    column("shard", "INT64", "Shard of the load."),
    column("account_id", "STRING", "Account that the generation does not show."),
    column("code", "STRING", "INVALID_ROW | KEY_TOO_LONG | VALUE_TOO_LARGE | a status code of Bigtable's."),
    column("reason", "STRING", "The broken rule, or the server's words."),
    column("refused_at", "TIMESTAMP", "When the shard gave the row up."),
)
ERASURES = (
    column("run_date", "DATE", "Day of the erasure."),
    column("erasure_id", "STRING", "One per batch of accounts that are erased together."),
    column(
        "subject_kind", "STRING", "account | subscription | customer (a billing provider's id of a payer)"
    ),
    column("subject_hash", "STRING", "SHA-256 of the salt and the id, in hex; never the id itself."),
    column("state", "STRING", "begun | found (in a later landing, and left out of it) | proved"),
    column(
        "proof",
        "STRING",
        "JSON, in one row of an erasure: rows removed and rows found afterwards, by table; cells; files.",
    ),
    column("recorded_at", "TIMESTAMP", "When this row was written."),
)
INCIDENTS = (
    column("run_date", "DATE", "Day that the incident is about; of an experiment, the first that shows it."),
    column("incident_id", "STRING", "Its key, and how often it has come; alerts name it."),
    column("key", "STRING", "Day or days, cause and what closes it; the cause alone of what lasts for days."),
    column(
        "cause",
        "STRING",
        "marts_late | segments_late | feed_stale:<feed> | volume | experiment:<id>:v<version>:<reason> | "
        "model_drift:<model>:v<version> | fault:<dag>.<task>, or the code of the failure.",
    ),
    column("severity", "STRING", "error | warning"),
    column("what", "STRING", "A sentence; it names no account."),
    column("owner", "STRING", "Who acts."),
    column("still_served", "STRING", "What marts and offers showed when it was found."),
    column("runbook", "STRING", "Entry of docs/runbook.md."),
    column(
        "ends_with",
        "STRING",
        "What closes it: published | restated | online | content | readouts | judged | arrived | watched | "
        "measured | trained | stopped | by_hand",
    ),
    column("since_at", "TIMESTAMP", "When it began."),
    column("opened_at", "TIMESTAMP", "When it was recorded."),
    column("opened_by", "STRING", "Whoever recorded it, by a random name."),
    column("opened_told", "STRING", "JSON list of the channels by which it was told that it is there."),
    column("closed_at", "TIMESTAMP", "When the recovery was seen; null: it is open."),
    column("closed_because", "STRING", "What the recovery was."),
    column("closed_told", "STRING", "JSON list of the channels by which it was told that it is over."),
    column("claimed_by", "STRING", "Whoever is telling of it now, by a random name; null: nobody."),
    column("claimed_at", "TIMESTAMP", "Since when."),
    column("first_date", "DATE", "First of the days that it is about, to run_date; null: run_date alone."),
)
MODEL_REGISTRY = (
    column("run_date", "DATE", "The decision counts from the end of this UTC day on."),
    column("model_name", "STRING", "As in scoring/models/, and in score.model of the rules."),
    column("model_version", "INT64", "Version of its declaration."),
    column("artifact", "STRING", "SHA-256 that names the trained model's folder."),
    column("artifact_uri", "STRING", "The folder, below SEGUE_MODELS_URI as it was then."),
    column(
        "decision",
        "STRING",
        "trained (nothing scores with it yet) | shadow (scored beside the one in use, and not used) | "
        "promoted (in use, in the place of the one before) | refused | retired (none is in use from then "
        "on) | rolled_back (out of use, the one before is in use again).",
    ),
    column("reasons", "STRING", "Why, in words with their numbers.", mode="REPEATED"),
    column("metrics", "STRING", "JSON: what it was judged by for this decision; {} where it was not."),
    column("data_digest", "STRING", "SHA-256 of the examples that it was trained on."),
    column("decided_at", "TIMESTAMP", "When it was decided; of one day the last decision counts."),
    column("decided_by", "STRING", "A person, or the run that decided."),
)
MODEL_MEASURES = (
    column("run_date", "DATE", "The UTC day on which it was measured, at whose end accounts are described."),
    column("model_name", "STRING", "As in scoring/models/."),
    column("model_version", "INT64", "Version of its declaration."),
    column("artifact", "STRING", "SHA-256 that names the trained model's folder."),
    column(
        "measure",
        "STRING",
        "population_stability (index of the bins of training) | missing_share (difference of the shares of "
        "accounts without a value) | calibration_bias (events over those predicted, less 1) | "
        "calibration_slope (of the log odds of what happened by those predicted, less 1); without a sign.",
    ),
    column("subject", "STRING", "A feature, or score."),
    column("value", "FLOAT64", "How far it is from training; 0: not at all."),
    column("warn_above", "FLOAT64", "Above it the level is warn; raised to what chance gives."),
    column("critical_above", "FLOAT64", "Above it the level is critical; raised to what chance gives."),
    column("level", "STRING", "ok | warn | critical (alerts, and blocks a promotion)."),
    column("trained", "FLOAT64", "What it was in training, where that is one number."),
    column("found", "FLOAT64", "What it is now, where that is one number."),
    column("accounts", "INT64", "Accounts that it was measured of: a sample of the population."),
    column("measured_at", "TIMESTAMP", "When it was measured."),
)
SCORE_CONTRIBUTIONS = (
    column("run_date", "DATE", "The UTC day that was scored, at whose end the account is described."),
    column("model_name", "STRING", "As in scoring/models/."),
    column("model_version", "INT64", "Version of its declaration."),
    column("artifact", "STRING", "SHA-256 that names the trained model's folder."),
    column("account_id", "STRING", "An account of a sample by hash, the same day after day."),
    column("score", "FLOAT64", "A probability, or an uplift in [-1, 1]."),
    column(
        "raw_score",
        "FLOAT64",
        "Log odds before the calibration; of an uplift those with the treatment less those without.",
    ),
    column("base", "FLOAT64", "What every account starts from: base and contributions add up to raw_score."),
    column("place", "INT64", "1: the largest contribution, whichever its sign; 0: all others together."),
    column("feature", "STRING", "Column of fct_account_features; null in place 0."),
    column("value", "STRING", "The feature's value as the model has it; null: missing, and in place 0."),
    column("contribution", "FLOAT64", "What it adds to the raw score, in log odds (exact tree SHAP)."),
    column("made_at", "TIMESTAMP", "When it was computed."),
)
RUN_STEPS = (
    column("run_date", "DATE", "Last day of the run."),
    column("step", "STRING", "land | build | validate | publish | drop_audit"),
    column("state", "STRING", "done | failed"),
    column(
        "code",
        "STRING",
        "What a failed step failed with, an entry of docs/runbook.md; null: a fault of ours.",
    ),
    column("start_date", "DATE", "First day of the run, as the step left it."),
    column("end_date", "DATE", "Last day of the run."),
    column("as_of_date", "DATE", "Last arrival day that the run may read."),
    column("attempt", "STRING", "The audit dataset that it is built in; null before there is one."),
    column("seconds", "FLOAT64", "How long the step took."),
    column("summary", "STRING", "What it did, as its log says."),
    column("warnings", "STRING", "JSON list of what somebody should know."),
    column("started_at", "TIMESTAMP", "When it began."),
    column("finished_at", "TIMESTAMP", "When it was done, or had failed."),
    column("asked_end_date", "DATE", "Last day that was asked for: `land` may add others; null: not kept."),
    column("dag_id", "STRING", "The DAG whose run it was; null: it was run by hand, or not kept."),
)
MODEL_BUILDS = (
    column("run_date", "DATE", "Last day of the run."),
    column("attempt", "STRING", "The audit dataset that it was built in."),
    column("model", "STRING", "Name of the model."),
    column("status", "STRING", "dbt's word: success | error | skipped"),
    column("seconds", "FLOAT64", "How long it took."),
    column("row_count", "INT64", "Rows written, as BigQuery tells; null where it does not."),
    column("bytes_processed", "INT64", "Bytes that BigQuery read for it; null where it does not say."),
    column("finished_at", "TIMESTAMP", "When the build had ended."),
)
_TABLES: Mapping[str, tuple[Sequence[bigquery.SchemaField], str]] = {
    "run_ledger": (RUN_LEDGER, "Every hand-over of rows: in = out + quarantined + erased + ignored."),
    "corrections": (CORRECTIONS, "Arrival days that changed after they, or later days, had landed."),
    "validation_results": (VALIDATION_RESULTS, "Every expectation of every run of the gate."),
    "verdicts": (VERDICTS, "What the gate judged, and how; publication takes nothing else."),
    "publications": (PUBLICATIONS, "Every partition that was ever published."),
    "dead_letters": (DEAD_LETTERS, "Rows that a load into Bigtable could not write, with the reason."),
    "erasures": (ERASURES, "Accounts that were erased, as salted hashes, and the proof; refused ever after."),
    "incidents": (INCIDENTS, "What was wrong of which day, since when and until when, and who was told."),
    "model_measures": (MODEL_MEASURES, "Whether models still see what they learned from, by day."),
    "score_contributions": (
        SCORE_CONTRIBUTIONS,
        "Why a sample of accounts has its scores, by day: the largest contributions of each.",
    ),
    "model_registry": (MODEL_REGISTRY, "Every decision about a trained model; only ever added to."),
    "run_steps": (RUN_STEPS, "Every step of every run, as it ended: what it did, and how long it took."),
    "model_builds": (MODEL_BUILDS, "Every model of every build: how it went, its time and its rows."),
    "restatements": (RESTATEMENTS, "What late events changed in days that had been published, by how much."),
}


OPS_TABLES: Final = frozenset(_TABLES)
"""Names of them all."""
OF_MARTS: Final = "code_version is null"
"""Which rows of ``publications`` are of marts: those of the history that runs read have the version of its
code, are of arrival days, and come before and after the days themselves are published."""


def ops_table(settings: Settings, name: str) -> str:
    """Full name of an operational table, unquoted."""
    return f"{settings.project_id}.{settings.ops_dataset}.{name}"


def ops_schema(name: str) -> list[bigquery.SchemaField]:
    """Columns of an operational table; of each the last says which run has written a row."""
    return [*_TABLES[name][0], RUN_ID]


def this_run() -> str:
    """A GoogleSQL expression for the column ``run_id`` of what is written now."""
    return f"cast({literal(bound_run_id())} as string)"


def ensure_ops_tables(warehouse: Warehouse, names: Iterable[str] = ()) -> None:
    """Create the operational tables that are missing, of all or of those that are named."""
    _ensure(warehouse, list(names) or _TABLES)


def _ensure(warehouse: Warehouse, names: Iterable[str]) -> None:
    settings = warehouse.settings
    warehouse.ensure_dataset(settings.ops_dataset)
    for name in names:
        table, (_, description) = ops_table(settings, name), _TABLES[name]
        warehouse.ensure_table(table, ops_schema(name), partition_field="run_date", description=description)


def literal(value: Any) -> str:
    """A GoogleSQL literal of a plain value, or of a list of them.

    Raises:
        TypeError: there is no literal for the value's type.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(literal(each) for each in value)}]"
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat()}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, str):
        # JSON's escapes inside double quotes are GoogleSQL's, all but its surrogate pairs.
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"no literal for {type(value).__name__}")


def insert_statement(table_id: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """One INSERT … VALUES of a few rows, to stand inside a transaction."""
    names = ", ".join(f"`{name}`" for name in columns)
    values = ",\n".join("(" + ", ".join(literal(row[name]) for name in columns) + ")" for row in rows)
    return f"insert into `{table_id}` ({names}) values {values}"


def append_rows(warehouse: Warehouse, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to an operational table, which is created when it is missing.

    Raises:
        WarehouseError: BigQuery did not take them.
    """
    _ensure(warehouse, [name])
    lines = "\n".join(json.dumps(_of_this_run(row), default=str) for row in rows)
    warehouse.append_json(ops_table(warehouse.settings, name), lines, ops_schema(name))


def insert_rows(warehouse: Warehouse, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to an operational table by a statement: a table takes 1,500 load jobs a day, and any number
    of statements. https://docs.cloud.google.com/bigquery/quotas

    Raises:
        WarehouseError: BigQuery did not take them.
    """
    _ensure(warehouse, [name])
    columns = [each.name for each in ops_schema(name)]
    written = [_of_this_run(row) for row in rows]
    warehouse.run(insert_statement(ops_table(warehouse.settings, name), columns, written))


def _of_this_run(row: Mapping[str, Any]) -> dict[str, Any]:
    return {RUN_ID.name: bound_run_id(), **row}
