"""What a collector is told of a run: one trace of steps, files, models and jobs, and what they counted."""

from __future__ import annotations

from collections import Counter

import runs.steps
from loaders.warehouse.client import warehouse_of
from segue.telemetry import MEASURES
from tests.company_in_order import LAST_DAY, CompanyInOrder
from tests.otlp_collector import attributes_of

# The company goes through its days without the gate.
STEPS = [f"segue.{step.name}" for step in runs.steps.STEPS if step.name != "validate"]


def test_a_run_is_one_trace_of_its_steps_files_models_and_jobs(company_in_order: CompanyInOrder) -> None:
    spans = company_in_order.watched.spans
    named = {each.span_id: each.name for each in spans}

    assert len({each.trace_id for each in spans}) == 1
    assert [each.name for each in spans if each.name.startswith("segue.")] == STEPS
    parts = {(named.get(each.parent_span_id), each.name) for each in spans}
    assert {
        ("segue.land", "landing.file"),
        ("segue.land", "bigquery.job"),
        ("segue.build", "dbt.model"),
        ("segue.publish", "bigquery.job"),
    } <= parts
    days = {attributes_of(each)["segue.day"] for each in spans if each.name in STEPS}
    assert days == {str(LAST_DAY)}


def test_each_model_of_a_run_is_a_span_with_its_job_and_its_time(company_in_order: CompanyInOrder) -> None:
    models = {
        attributes_of(each)["node"]: each
        for each in company_in_order.watched.spans
        if each.name == "dbt.model"
    }
    mart = attributes_of(models["fct_subscriber_daily"])

    assert mart["status"] == "success"
    assert mart["job_id"]
    assert all(each.end_time_unix_nano > each.start_time_unix_nano for each in models.values())


def test_what_landed_is_counted_as_the_ledger_has_it(company_in_order: CompanyInOrder) -> None:
    settings, metrics = company_in_order.settings, company_in_order.watched.metrics
    counted: Counter[tuple[str, str]] = Counter()
    for rows, told in metrics["segue.landing.rows"]:
        counted[told["table"], told["outcome"]] = int(rows)

    ledger = warehouse_of(settings).run(
        "select table_name, rows_out, rows_quarantined "
        f"from `{settings.project_id}.{settings.ops_dataset}.run_ledger` "
        f"where step = 'land' and run_date = '{LAST_DAY}'"
    )
    assert {(row.table_name, row.rows_out, row.rows_quarantined) for row in ledger} == {
        (table, counted[table, "accepted"], counted[table, "quarantined"]) for table, _ in counted
    }
    assert set(metrics) <= set(MEASURES)
    assert metrics["segue.bigquery.processed"] != []


def test_every_row_that_a_run_writes_into_a_ledger_or_the_quarantine_names_the_run(
    company_in_order: CompanyInOrder,
) -> None:
    settings = company_in_order.settings
    warehouse = warehouse_of(settings)
    runs: dict[str, set[str | None]] = {}
    for dataset in (settings.ops_dataset, settings.quarantine_dataset):
        for table in sorted(warehouse.table_names(dataset)):
            rows = warehouse.run(f"select distinct run_id from `{warehouse.table(dataset, table)}`")
            if found := {row.run_id for row in rows}:
                runs[f"{dataset}.{table}"] = found

    assert {"ops.run_ledger", "ops.publications", "ops.restatements", "ops.verdicts"} <= set(runs)
    assert any(name.startswith("quarantine.") for name in runs)
    known = {f"in_order__{day}" for day in company_in_order.after}
    assert {name: found - known for name, found in runs.items() if found - known} == {}
