"""What every Airflow task of Segue has in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from segue.errors import SegueError, runbook_entry
from segue.settings import Settings


def task_defaults(settings: Settings) -> dict[str, Any]:
    """``default_args`` of a DAG: owner, retries with growing waits, a limit on one try's time."""
    return {
        "owner": "subscriptions-data",
        "retries": settings.task_retries,
        "retry_delay": timedelta(seconds=settings.task_retry_delay_seconds),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "execution_timeout": timedelta(hours=2),
    }


@contextmanager
def without_useless_retries() -> Iterator[None]:
    """End the task for good at a failure that another try cannot mend, instead of waiting for all retries.

    Whatever fails, the log ends with the failure's code and its entry of the runbook.

    Raises:
        AirflowFailException: a ``SegueError`` is final.
    """
    try:
        yield
    except SegueError as error:
        entry = f"see {runbook_entry(error.code)}"
        if not error.is_final:
            error.add_note(f"{error.code}: {entry}")
            raise
        from airflow.sdk.exceptions import AirflowFailException

        raise AirflowFailException(f"{error.code}: {error}\n{error.hint or ''}\n{entry}") from error
