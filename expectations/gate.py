"""The gate between audit and publication: Great Expectations over a run's partitions.

Critical failures raise, so the run stops before anything is published; warnings are recorded. Every result
goes to ``ops.validation_results`` and to the data docs. Great Expectations takes over ten seconds to import:
import this module inside a task, never in a DAG file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from expectations.checks import Check, outcome_of, record, run_checks
from expectations.drift import DRIFT, drift_expectations
from expectations.kept_results import keep_results
from expectations.outcome import ExpectationOutcome
from expectations.outcomes_of_erased import without_erased
from expectations.suites import all_suites
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.dbt_models import dbt_models
from segue.errors import SegueError
from segue.settings import Settings
from segue.telemetry import present_step
from segue.window import RunWindow

log = structlog.get_logger(__name__)


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
    hint = (
        "ops.validation_results has sample keys: look them up in the audit dataset and in raw, correct the "
        "source, land the day again"
    )
    is_final = True

    def __init__(self, message: str, failures: int = 1) -> None:
        super().__init__(message)
        self.failures = failures


def validate(settings: Settings, window: RunWindow) -> GateResult:
    """Validate the partitions that the run has built in its audit dataset.

    Raises:
        ValidationFailedError: a critical expectation failed; the message names model, column and count of
            each, and nobody: the sample keys are in ``ops.validation_results``.
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
        run_name = f"{window.start_date} to {window.end_date}"
        results = run_checks(
            warehouse, window.audit_dataset, list(_checks(warehouse, window)), run_name, Path(folder)
        )
        outcomes = tuple(outcome_of(model, result) for model, result in results)
        validation_id = record(
            warehouse,
            outcomes,
            window.start_date,
            window.end_date,
            window.as_of_date,
            window.audit_dataset,
        )
        front_page = keep_results(settings, Path(folder), window.audit_dataset)
    shown = [result.result for _, result in results if not result.success]
    outcomes = without_erased(warehouse, window, validation_id, outcomes, shown)
    for each in outcomes:
        present_step().count(
            "segue.expectations.judged", 1, outcome="held" if each.success else each.severity
        )
    return GateResult(outcomes=outcomes, data_docs=front_page)


def _checks(warehouse: Warehouse, window: RunWindow) -> Iterator[Check]:
    suites = all_suites(window, dbt_models(warehouse.settings.dbt_manifest))
    drift = drift_expectations(warehouse, suites, window)
    if drift:
        yield Check(DRIFT, "select 1 as row_counts", drift)
    for suite in suites:
        expectations = list(suite.expectations)
        if suite.measured is not None:
            expectations += suite.measured(warehouse, window)
        query = f"select * from {window.table(suite.model)} where {suite.filter(window)}"
        yield Check(suite.model, query, expectations, suite.key)
