"""A task that has failed for good becomes an incident of its day: one for each code, not for each task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from segue.errors import SegueError, runbook_entry
from segue.settings import get_settings
from segue.window import ImpossibleDaysError

if TYPE_CHECKING:
    from loaders.warehouse.incidents import EndsWith

log = structlog.get_logger(__name__)

_CODE: Final = re.compile(re.escape(f"see {runbook_entry('')}") + r"(\w+)\s*$")
"""How what a task says of a failure that the product foresees ends."""
_SENTENCE_LENGTH: Final = 500
ENDS_WITH: Mapping[str, EndsWith] = {
    "daily_marts": "published",
    "restate_range": "restated",
    "offer_segments": "online",
    "content": "content",
    "experiments": "readouts",
    "day_watch": "watched",
    "model_watch": "measured",
    "train_models": "trained",
}
"""What closes an incident, by the DAG whose task has failed."""


def task_failed(context: Mapping[str, Any]) -> None:
    """Airflow's ``on_failure_callback``, which it calls when no retry is left; it never fails itself.

    A fault of the product is told by its kind only: its text may show what it was given.
    """
    task = context["ti"]
    try:
        _tell_of(context, f"{task.dag_id}.{task.task_id}")
    except Exception as error:
        reason = str(error) if isinstance(error, SegueError) else type(error).__name__
        log.error("alert_not_sent", task=task.task_id, reason=reason)


def _tell_of(context: Mapping[str, Any], place: str) -> None:
    from loaders.warehouse.incidents import Incident
    from runs.incidents import raise_or_tell, still_served
    from runs.task_defaults import OWNER

    settings = get_settings()
    error = context.get("exception")
    said = str(error or "")
    code = _CODE.search(said)
    if code:
        sentence = said.splitlines()[0][:_SENTENCE_LENGTH]
        cause, runbook, what = code[1], code[1], f"{place} has failed: {sentence}"
    else:
        kind = "it was killed, or timed out" if isinstance(error, str | None) else type(error).__name__
        cause, runbook = f"fault:{place}", "fault"
        what = f"{place} has failed: {kind}; its log has more"
    first, last = days_of_task(context)
    if cause == ImpossibleDaysError.code:
        # Nobody builds what was refused: whoever asks again asks for other days.
        first = last
    incident = Incident(
        day=last,
        first_day=first,
        cause=cause,
        what=what,
        since=datetime.now(UTC),
        ends_with=ENDS_WITH.get(context["ti"].dag_id, "by_hand"),
        runbook=runbook,
        owner=OWNER,
        still_served=still_served(settings),
    )
    raise_or_tell(settings, incident)


def days_of_task(context: Mapping[str, Any]) -> tuple[date, date]:
    """The first and the last day that a task is about: of its chunk, where a range is built in chunks, else
    of its run."""
    params, last = context.get("params") or {}, day_of_run(context)
    begins = [str(params[first]) for first, end in _RANGES if params.get(first) and params.get(end)]
    # Days in the wrong order are refused, and are about no more than the day that names the run.
    first = min([last, *map(date.fromisoformat, begins)])
    # A task that was killed is told of by who has its DAG's file, and its number, but not what it was given.
    index, chunk_days = getattr(context["ti"], "map_index", None), params.get("chunk_days")
    if chunk_days and index is not None and index >= 0:
        from runs.restate_range import chunks_of

        chunk = chunks_of(first, last, chunk_days)[index]
        return chunk.start_date, chunk.end_date
    return first, last


def day_of_run(context: Mapping[str, Any]) -> date:
    """The day that a DAG's run is about: of its parameters, of what has triggered it, or of its interval."""
    params = context.get("params") or {}
    events = context.get("triggering_asset_events") or {}
    extras = [event.extra or {} for of_asset in events.values() for event in of_asset]
    days = [str(told[name]) for told in (params, *extras) for name in _NAMES if told.get(name)]
    if days:
        # A parameter comes first: whoever triggers by hand decides.
        return date.fromisoformat(days[0] if any(params.get(name) for name in _NAMES) else max(days))
    start = context.get("data_interval_start")
    return start.date() if start else datetime.now(UTC).date()


_NAMES: Final = ("segment_date", "end_date", "to_date", "day")
_RANGES: Final = (("start_date", "end_date"), ("from_date", "to_date"))
