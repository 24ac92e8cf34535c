"""What runs do is kept as they do it: every step as it ended, and every model of a build.

The record is told, not obeyed: a step whose record cannot be written has still done its work.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from segue.settings import Settings
from segue.telemetry import present_step, step_of_run
from segue.window import RunWindow

if TYPE_CHECKING:
    from runs.dbt import BuiltNode
    from runs.outcome import StepOutcome
    from runs.steps import Step

log = structlog.get_logger(__name__)

_HURRY: Final = 5.0
"""Seconds."""


def perform(settings: Settings, step: Step, window: RunWindow, run_id: str, **attributes: str) -> StepOutcome:
    """A step of a run: what it logs and tells names the run, and how it ended is kept in ``ops.run_steps``.

    ``attributes`` are told as well.

    Raises:
        SegueError: the step failed.
    """
    started_at, began = datetime.now(UTC), time.monotonic()

    def ended(left: RunWindow, keeping: Settings, **how: Any) -> None:
        row = {
            "run_date": left.end_date,
            "step": step.name,
            "start_date": left.start_date,
            "end_date": left.end_date,
            "asked_end_date": left.asked_end_date,
            "as_of_date": left.as_of_date,
            # Before the build it is only what the names of attempts begin with.
            "attempt": left.audit_dataset if left.project_digest else None,
            "seconds": round(time.monotonic() - began, 3),
            "started_at": started_at,
            "finished_at": datetime.now(UTC),
            "dag_id": attributes.get("dag"),
        }
        nothing = {"state": "done", "code": None, "summary": None, "warnings": None}
        _keep(keeping, "run_steps", [row | nothing | how])

    with step_of_run(settings, run_id, window.end_date, step.name, **attributes):
        try:
            outcome = step.perform(settings, window)
        except Exception as error:
            ended(window, _hurried(settings, error), state="failed", code=_code(error))
            raise
        ended(outcome.window, settings, summary=outcome.summary, warnings=json.dumps(outcome.warnings))
        return replace(outcome, trace_parent=present_step().trace_parent)


@contextmanager
def models_kept(settings: Settings, window: RunWindow) -> Iterator[Callable[[BuiltNode], None]]:
    """Gives what takes the nodes of a build as they end; keeps their models, also when the build fails."""
    built: list[BuiltNode] = []
    try:
        yield built.append
    finally:
        rows = [
            {
                "run_date": window.end_date,
                "attempt": window.audit_dataset,
                "model": node.name,
                "status": node.status,
                "seconds": round(node.seconds, 3),
                "row_count": node.row_count,
                "bytes_processed": node.bytes_processed,
                "finished_at": datetime.now(UTC),
            }
            for node in built
            if node.kind == "model"
        ]
        if rows:
            _keep(settings, "model_builds", rows)


def _code(error: Exception) -> str | None:
    from runs.failures import foreseen

    failure = foreseen(error)
    return failure.code if failure else None


def _hurried(settings: Settings, error: Exception) -> Settings:
    """How a failure is kept: where it is the warehouse that has failed, with no more than seconds of waiting.

    A statement that BigQuery refuses fails in the same words as one that it does not answer.
    """
    from loaders.warehouse.client import WarehouseError
    from loaders.warehouse.jobs import UNREACHABLE

    if not isinstance(error, (WarehouseError, *UNREACHABLE)):
        return settings
    return settings.model_copy(
        update={
            "bigquery_retry_seconds": _HURRY,
            "bigquery_request_seconds": _HURRY,
            "bigquery_deadline_seconds": 2 * _HURRY,
        }
    )


def _keep(settings: Settings, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from loaders.warehouse.client import WarehouseError, warehouse_of
    from loaders.warehouse.jobs import UNREACHABLE
    from loaders.warehouse.ops import insert_rows

    try:
        insert_rows(warehouse_of(settings), table, rows)
    except (WarehouseError, *UNREACHABLE) as error:
        log.warning("not_kept", table=table, reason=" ".join(str(error).split()))
