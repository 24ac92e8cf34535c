"""What every Airflow task of Segue has in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, Final

from runs.failures import describe, foreseen, raised_at
from runs.task_alerts import task_failed
from segue.errors import SegueError
from segue.settings import Settings, get_settings
from segue.telemetry import step_of_run

OWNER: Final = "subscriptions-data"
"""Who owns the DAGs, and acts where nobody else is named."""


TRACE_PARENT: Final = "traceparent"
"""Key of an asset's event: the span of the task that published it; a run that it starts is linked to that."""


def task_defaults(settings: Settings) -> dict[str, Any]:
    """``default_args`` of a DAG: owner, retries with growing waits, a limit on one try's time."""
    return {
        "owner": OWNER,
        "retries": settings.task_retries,
        "retry_delay": timedelta(seconds=settings.task_retry_delay_seconds),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "execution_timeout": timedelta(hours=2),
        "on_failure_callback": task_failed,
    }


class TaskFailedError(Exception):
    """A failure that the product foresees, in the words that whoever reads the task's log needs."""

    def __init__(self, failure: SegueError) -> None:
        super().__init__("\n".join(describe(failure)))


@contextmanager
def task_told(day: date) -> Iterator[None]:
    """Have all that a task logs and tells say of which run, day and task it is, and a failure say why.

    Raises:
        AirflowFailException, TaskFailedError: as ``failures_told``.
    """
    from airflow.sdk import get_current_context

    context = get_current_context()
    task = context["ti"]
    with (
        failures_told(),
        step_of_run(
            get_settings(),
            context["run_id"],
            day,
            task.task_id,
            started_by=_started_by(context.get("triggering_asset_events") or {}),
            dag=task.dag_id,
        ),
    ):
        yield


def _started_by(events: Mapping[Any, Iterable[Any]]) -> list[str]:
    """The spans that published what started this run; none of a run by hand or by the clock."""
    told = (event.extra or {} for of_asset in events.values() for event in of_asset)
    return [each[TRACE_PARENT] for each in told if each.get(TRACE_PARENT)]


@contextmanager
def failures_told() -> Iterator[None]:
    """Have a task that fails say why: the sentence with its code, what to do, the runbook's entry, the place.

    A failure that the product foresees leaves without its causes and their frames, of which Airflow writes
    pages into the log. What another try cannot mend ends the task for good, instead of waiting for all
    retries. Faults of the product itself, and what Airflow raises, pass as they are, with all frames.

    Raises:
        AirflowFailException: the failure is final.
        TaskFailedError: it is not.
    """
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    try:
        yield
    except AirflowException:
        raise
    except Exception as error:
        failure = foreseen(error)
        if failure is None:
            raise
        told = TaskFailedError(failure)
        print(told)
        if place := raised_at(error):
            print(f"raised at {place}")
        # Not the error itself: it would leave with its frames.
        raise (AirflowFailException(str(told)) if failure.is_final else told) from None
