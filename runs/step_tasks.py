"""A step of a run as a task of Airflow: what is printed of it, and which events its publication emits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow.sdk import Asset, AssetAlias, get_current_context

from runs.step_record import perform
from runs.steps import given
from runs.task_defaults import TRACE_PARENT, failures_told
from segue.settings import get_settings
from segue.window import RunWindow

SEGMENTS: Final = Asset(name="offer_segments", uri="segue://marts/offer_segments")
MARTS: Final = AssetAlias("published_marts")
"""An event of its own for every mart that a run publishes, with its rows: for the UI."""


def perform_step(name: str, left: Mapping[str, Any] | None, days: Callable[[], RunWindow]) -> dict[str, Any]:
    """Perform the step on what the one before it has ``left``, the first one on ``days``.

    Raises:
        AirflowFailException, TaskFailedError: it failed, as ``failures_told`` says.
    """
    with failures_told():
        step, window = given(name, left, days)
        context = get_current_context()
        outcome = perform(get_settings(), step, window, context["run_id"], dag=context["ti"].dag_id)
    for line in outcome.lines():
        print(f"{name}: {line}")
    given_on = outcome.window.model_dump(mode="json")
    if step.is_publication:
        events, rows = context["outlet_events"], dict(outcome.published)
        by = {TRACE_PARENT: outcome.trace_parent} if outcome.trace_parent else {}
        of_days = {"start_date": given_on["start_date"], "end_date": given_on["end_date"]}
        events[SEGMENTS].extra = by | {
            "segment_date": given_on["end_date"],
            "rows": rows.pop(SEGMENTS.name, 0),
        }
        for mart, count in rows.items():
            told = by | of_days | {"rows": count}
            events[MARTS].add(Asset(name=mart, uri=f"segue://marts/{mart}"), extra=told)
    return given_on
