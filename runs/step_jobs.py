"""The jobs that a step has in BigQuery: whose they are, and what becomes of those of a killed try."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from segue.settings import Settings
from segue.window import RunWindow

Outcome = TypeVar("Outcome")


def jobs_of(
    step: str,
) -> Callable[[Callable[[Settings, RunWindow], Outcome]], Callable[[Settings, RunWindow], Outcome]]:
    """Have a step's jobs named after it and the run's last day, and given the step's deadline.

    A later try of the step waits first for what an earlier one, that was killed, has left running.
    """

    def named(perform: Callable[[Settings, RunWindow], Outcome]) -> Callable[[Settings, RunWindow], Outcome]:
        @wraps(perform)
        def wrapped(settings: Settings, window: RunWindow) -> Outcome:
            # Imported here because a DAG file that lists the steps must be read in no time.
            from loaders.warehouse.client import warehouse_of

            with warehouse_of(settings).step(step, f"{window.end_date:%Y%m%d}"):
                return perform(settings, window)

        return wrapped

    return named
