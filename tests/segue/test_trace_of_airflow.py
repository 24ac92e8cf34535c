"""In a task of an Airflow that traces, a step goes on in the task's trace; else in one of its run's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.propagate import extract

from segue.settings import Settings
from segue.telemetry import step_of_run
from tests.otlp_collector import Collector, collector

DAY = date(2026, 3, 2)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def watching() -> Iterator[Collector]:
    with collector() as kept:
        yield kept


@contextmanager
def task_of_airflow(traceparent: str) -> Iterator[None]:
    """What Airflow hands to the process of a task, whether or not it traces (the last digit)."""
    token = attach(extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        detach(token)


def test_a_step_is_a_child_of_the_task_in_an_airflow_that_traces(watching: Collector) -> None:
    settings = Settings(_env_file=None, otlp_endpoint=watching.endpoint)
    with (
        task_of_airflow(f"00-{TRACE}-b7ad6b7169203331-01"),
        step_of_run(settings, "scheduled__1", DAY, "land", dag="daily_marts"),
    ):
        pass

    step = watching.spans[-1]
    assert (step.trace_id.hex(), step.parent_span_id.hex()) == (TRACE, "b7ad6b7169203331")


def test_where_airflow_does_not_trace_the_steps_of_a_run_are_still_in_one_trace(
    watching: Collector,
) -> None:
    settings = Settings(_env_file=None, otlp_endpoint=watching.endpoint)
    watching.spans.clear()
    # Each task has an id all the same, which no span was ever told of.
    for step, parent in (("land", "b7ad6b7169203331"), ("build", "00f067aa0ba902b7")):
        with (
            task_of_airflow(f"00-{TRACE}-{parent}-00"),
            step_of_run(settings, "scheduled__1", DAY, step, dag="daily_marts"),
        ):
            pass

    land, build = watching.spans
    assert land.trace_id == build.trace_id
    assert land.trace_id.hex() != TRACE
