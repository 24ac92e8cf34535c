"""Expectations run on what queries select, and what is kept of them: whatever is judged, and by whom.

Great Expectations takes over ten seconds to import: import this module inside a task, never in a DAG file.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from sqlalchemy import event

from expectations.counted import STANDS_FOR
from expectations.data_docs import gx_context
from expectations.outcome import ExpectationOutcome
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import append_rows

# It logs what a query failed with, the value in a row for instance; what is kept of the outcome has it, too.
logging.getLogger("great_expectations").setLevel(logging.CRITICAL)

SAMPLE_SIZE = 5
"""How many offending keys a result keeps: enough to find the rows, not enough to copy them."""


@dataclass(frozen=True)
class Check:
    """Expectations on the rows of a query, under a name; ``key``: the columns that find a row again."""

    name: str
    query: str
    expectations: Sequence[Any]
    key: tuple[str, ...] = ()


def run_checks(
    warehouse: Warehouse, dataset: str, checks: Sequence[Check], run_name: str, folder: Path
) -> list[tuple[str, Any]]:
    """(name, result) of every expectation, check after check: in one process they share state.

    Results and their pages are left in ``folder``.
    """
    settings = warehouse.settings
    context = gx_context(folder)
    source = context.data_sources.add_bigquery(
        "audit",
        connection_string=f"bigquery://{settings.project_id}/{dataset}?user_supplied_client=true",
        kwargs={"connect_args": {"client": warehouse.client}},
    )
    _find_columns_without_rows(source)
    _ask_in_one_order(source)
    definitions = [_bind(context, source, each) for each in checks]
    outcomes: list[tuple[str, Any]] = []
    pages: list[Any] = []
    # Great Expectations reads a name as a time where it can: "…-31" at its end as a UTC offset of 31 hours.
    run_id = RunIdentifier(run_name=run_name, run_time=datetime.now(UTC))
    for check, definition in zip(checks, definitions, strict=True):
        page, result = _check(definition, {"result_format": "BOOLEAN_ONLY"}, run_id)
        if not result.success:
            detailed = {
                "result_format": "SUMMARY",
                "partial_unexpected_count": SAMPLE_SIZE,
                "unexpected_index_column_names": list(check.key),
            }
            page, result = _check(definition, detailed, run_id)
        pages.append(page)
        outcomes += [(check.name, found) for found in result.results]
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


def _bind(context: Any, source: Any, check: Check) -> gx.ValidationDefinition:
    batch = source.add_query_asset(check.name, query=check.query).add_batch_definition_whole_table("run")
    suite = context.suites.add(gx.ExpectationSuite(check.name, expectations=list(check.expectations)))
    return context.validation_definitions.add(
        gx.ValidationDefinition(name=check.name, data=batch, suite=suite)
    )


def outcome_of(model: str, result: Any) -> ExpectationOutcome:
    """What is kept of a result."""
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
    raised = _raised(result.exception_info or {})
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


def _raised(told: Mapping[str, Any]) -> str | None:
    """Why an expectation could not be judged: of a result as a whole, or by what it had to measure."""
    each = [told, *(part for part in told.values() if isinstance(part, Mapping))]
    return next((part["exception_message"] for part in each if part.get("exception_message")), None)


def _severity(config: Any) -> str:
    severity = getattr(config, "severity", None) or "critical"
    return str(getattr(severity, "value", severity))


def record(
    warehouse: Warehouse,
    outcomes: Sequence[ExpectationOutcome],
    start: date,
    end: date,
    as_of: date,
    attempt: str | None = None,
) -> str:
    """Keep every outcome in ops.validation_results, whether anything goes on or not; returns their id.

    ``attempt`` is the audit dataset that was judged, if it was one.
    """
    validation_id = str(uuid.uuid4())
    common = {
        "validation_id": validation_id,
        "attempt": attempt,
        "run_date": end,
        "start_date": start,
        "end_date": end,
        "as_of_date": as_of,
        "validated_at": datetime.now(UTC),
    }
    append_rows(warehouse, "validation_results", [common | asdict(outcome) for outcome in outcomes])
    return validation_id
