"""The gate between audit and publication: Great Expectations over a run's partitions.

Critical failures raise, so the run stops before anything is published; warnings are recorded. Every result
goes to ``ops.validation_results`` and to the data docs. Great Expectations takes over ten seconds to import:
import this module inside a task, never in a DAG file.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
import structlog
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from sqlalchemy import event

from expectations.counted import STANDS_FOR
from expectations.data_docs import gx_context
from expectations.drift import DRIFT, drift_expectations
from expectations.kept_results import keep_results
from expectations.outcome import ExpectationOutcome
from expectations.outcomes_of_erased import without_erased
from expectations.suites import all_suites
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.dbt_models import dbt_models
from loaders.warehouse.ops import append_validation_results
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import RunWindow

log = structlog.get_logger(__name__)

SAMPLE_SIZE = 5
"""How many offending keys a result keeps: enough to find the rows, not enough to copy them."""


@dataclass(frozen=True)
class GateResult:
    """What the gate saw; ``warnings`` and ``failures`` are the outcomes that did not hold."""

    outcomes: tuple[ExpectationOutcome, ...]
    data_docs: str

    @property
    def failures(self) -> list[ExpectationOutcome]:
        """Critical expectations that did not hold."""
        return [o for o in self.outcomes if not o.success and o.severity == "critical"]

    @property
    def warnings(self) -> list[ExpectationOutcome]:
        """Other expectations that did not hold."""
        return [o for o in self.outcomes if not o.success and o.severity != "critical"]


class ValidationFailedError(SegueError):
    """Critical expectations failed, so many; nothing of this run may be published."""

    code = "validation_failed"
    hint = "look the sample keys up in the audit dataset and in raw, correct the source, land the day again"
    is_final = True

    def __init__(self, message: str, failures: int = 1) -> None:
        super().__init__(message)
        self.failures = failures


def validate(settings: Settings, window: RunWindow) -> GateResult:
    """Validate the partitions that the run has built in its audit dataset.

    Raises:
        ValidationFailedError: a critical expectation failed; the message names model, column, count and
            sample keys of each.
    """
    result = run_suites(settings, window)
    for warning in result.warnings:
        log.warning("expectation_not_met", detail=warning.describe())
    if result.failures:
        lines = "\n".join(failure.describe() for failure in result.failures)
        raise ValidationFailedError(
            f"{len(result.failures)} critical expectation(s) failed for {window} "
            f"in {window.audit_dataset}; nothing was published. Data docs: {result.data_docs}\n{lines}",
            failures=len(result.failures),
        )
    log.info("validated", days=str(window), expectations=len(result.outcomes))
    return result


def run_suites(settings: Settings, window: RunWindow) -> GateResult:
    """Run every suite and record its results, without judging them."""
    warehouse = warehouse_of(settings)
    with TemporaryDirectory() as folder:
        results = _run_suites(warehouse, window, Path(folder))
        outcomes = tuple(_outcome(model, result) for model, result in results)
        validation_id = _record(warehouse, outcomes, window)
        front_page = keep_results(settings, Path(folder), window.audit_dataset)
    shown = [result.result for _, result in results if not result.success]
    outcomes = without_erased(warehouse, window, validation_id, outcomes, shown)
    return GateResult(outcomes=outcomes, data_docs=front_page)


def _run_suites(warehouse: Warehouse, window: RunWindow, folder: Path) -> list[tuple[str, Any]]:
    """(model, result) of every expectation, suite after suite: in one process they share state."""
    settings = warehouse.settings
    context = gx_context(folder)
    source = context.data_sources.add_bigquery(
        "audit",
        connection_string=f"bigquery://{settings.project_id}/{window.audit_dataset}?user_supplied_client=true",
        kwargs={"connect_args": {"client": warehouse.client}},
    )
    _find_columns_without_rows(source)
    _ask_in_one_order(source)
    definitions: list[gx.ValidationDefinition] = []
    keys: dict[str, tuple[str, ...]] = {}
    suites = all_suites(window, dbt_models(settings.dbt_manifest))
    drift = drift_expectations(warehouse, suites, window)
    if drift:
        definitions.append(_bind(context, source, DRIFT, "select 1 as row_counts", drift))
        keys[DRIFT] = ()
    for suite in suites:
        expectations = list(suite.expectations)
        if suite.measured is not None:
            expectations += suite.measured(warehouse, window)
        query = f"select * from {window.table(suite.model)} where {suite.filter(window)}"
        definitions.append(_bind(context, source, suite.model, query, expectations))
        keys[suite.model] = suite.key
    outcomes: list[tuple[str, Any]] = []
    pages: list[Any] = []
    # Great Expectations reads a name as a time where it can: "…-31" at its end as a UTC offset of 31 hours.
    run_name = f"{window.start_date} to {window.end_date}"
    run_id = RunIdentifier(run_name=run_name, run_time=datetime.now(UTC))
    for definition in definitions:
        model = definition.name
        page, result = _check(definition, {"result_format": "BOOLEAN_ONLY"}, run_id)
        if not result.success:
            detailed = {
                "result_format": "SUMMARY",
                "partial_unexpected_count": SAMPLE_SIZE,
                "unexpected_index_column_names": list(keys[model]),
            }
            page, result = _check(definition, detailed, run_id)
        pages.append(page)
        outcomes += [(model, found) for found in result.results]
    context.build_data_docs(resource_identifiers=pages)
    return outcomes


def _find_columns_without_rows(source: Any) -> None:
    """Great Expectations runs a batch's query as it is to see its columns: every row, sent and paid for."""

    @event.listens_for(source.get_execution_engine().engine, "before_cursor_execute", retval=True)
    def limit(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        is_batch = any(statement == asset.query for asset in source.assets)
        return (f"{statement} limit 0" if is_batch else statement), parameters


def _ask_in_one_order(source: Any) -> None:
    """Great Expectations orders a query's columns anew each time: no two days' queries would be alike."""
    engine = source.get_execution_engine()
    resolve = engine.resolve_metric_bundle

    def resolve_sorted(metric_fn_bundle: Any) -> Any:
        return resolve(sorted(metric_fn_bundle, key=lambda each: each.metric_configuration.id))

    engine.resolve_metric_bundle = resolve_sorted


def _check(definition: Any, result_format: dict[str, Any], run_id: RunIdentifier) -> tuple[Any, Any]:
    """A result and its identifier. Booleans take one query a model, so samples are fetched after a failure.

    By itself: what a checkpoint adds, actions after the results, takes a fifth of the gate's time.
    """
    result = definition.run(result_format=result_format, run_id=run_id)
    suite = ExpectationSuiteIdentifier(definition.suite.name)
    return ValidationResultIdentifier(suite, run_id, result.batch_id), result


def _bind(
    context: Any, source: Any, name: str, query: str, expectations: list[Any]
) -> gx.ValidationDefinition:
    batch = source.add_query_asset(name, query=query).add_batch_definition_whole_table("run")
    suite = context.suites.add(gx.ExpectationSuite(name, expectations=expectations))
    return context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))


def _outcome(model: str, result: Any) -> ExpectationOutcome:
    config = result.expectation_config
    kind = STANDS_FOR.get(config.type, config.type)
    detail = result.result or {}
    arguments = config.kwargs
    rows = (
        detail.get("details", {}).get("unexpected_rows") if isinstance(detail.get("details"), dict) else None
    )
    sample = (
        detail.get("partial_unexpected_index_list") or rows or detail.get("partial_unexpected_list") or []
    )
    count = detail.get("unexpected_count")
    if kind == "unexpected_rows_expectation":
        count = detail.get("observed_value")
    observed = detail.get("observed_value") if count is None else None
    raised = (result.exception_info or {}).get("exception_message")
    return ExpectationOutcome(
        model=arguments.get("model", model),
        expectation=getattr(config, "description", None) or kind,
        column=arguments.get("column"),
        severity=_severity(config),
        success=bool(result.success),
        unexpected_count=int(count) if count is not None else None,
        observed_value=str(raised or observed) if (raised or observed) is not None else None,
        sample=json.dumps(list(sample)[:SAMPLE_SIZE], default=str),
    )


def _severity(config: Any) -> str:
    severity = getattr(config, "severity", None) or "critical"
    return str(getattr(severity, "value", severity))


def _record(
    warehouse: Warehouse,
    outcomes: tuple[ExpectationOutcome, ...],
    window: RunWindow,
) -> str:
    """Keep every outcome in ops.validation_results, whether the run goes on or not; returns their id."""
    validation_id = str(uuid.uuid4())
    common = {
        "validation_id": validation_id,
        "run_date": window.end_date,
        "start_date": window.start_date,
        "end_date": window.end_date,
        "as_of_date": window.as_of_date,
        "validated_at": datetime.now(UTC),
    }
    append_validation_results(warehouse, [common | asdict(outcome) for outcome in outcomes])
    return validation_id
