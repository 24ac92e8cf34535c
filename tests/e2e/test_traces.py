"""One trace of a run of a DAG, of Airflow's spans and our own; one of a run by hand, of ours alone."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from runs.steps import STEPS
from tests.e2e.orders import MARTS_DAG, Story
from tests.otlp_collector import Collector, attributes_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

OURS = [f"segue.{step.name}" for step in STEPS]


def of_runs(collected: Collector) -> dict[str, list[Any]]:
    """The spans of our steps, by the run that they name."""
    found = defaultdict(list)
    for span in collected.spans:
        if span.name in OURS:
            found[attributes_of(span)["segue.run_id"]].append(span)
    return found


def above(step: Any, spans: dict[bytes, Any]) -> list[str]:
    """The names of a span's parents, the nearest first, as far as they are in its trace."""
    names = []
    while parent := spans.get(step.parent_span_id):
        assert parent.trace_id == step.trace_id
        names.append(parent.name)
        step = parent
    # Nothing is above it that nobody has told of.
    return names if not step.parent_span_id else [*names, "?"]


def airflows(step: Any) -> list[str]:
    """Airflow's own spans above that of a step."""
    task = step.name.removeprefix("segue.")
    return [f"worker.{task}", f"task_run.{task}", f"dag_run.{MARTS_DAG}"]


def test_steps_are_children_of_airflows_tasks_in_the_one_trace_of_their_run(
    collected: Collector, story: Story
) -> None:
    spans = {each.span_id: each for each in collected.spans}
    steps = of_runs(collected)
    # Of the first day, by Celery's workers; of the second by the local executor, as it was run again.
    runs = {run.run_id: run for run in (story.first_backfill[0], *story.second_backfill)}

    for run_id in runs:
        # A run that is cleared, or made again, is a new trace to Airflow.
        trace = max(steps[run_id], key=lambda each: each.start_time_unix_nano).trace_id
        of_trace = [each for each in steps[run_id] if each.trace_id == trace]
        # The database and the warehouse die under the second: what is tried again is told again.
        assert list(dict.fromkeys(each.name for each in of_trace)) == OURS
        for step in of_trace:
            told, parents = above(step, spans), airflows(step)
            # Whatever of Airflow is killed takes with it what it has not sent yet.
            assert told in (parents, *([*parents[:sent], "?"] for sent in range(len(parents))))
    whole = {
        each.name for of_run in steps.values() for each in of_run if above(each, spans) == airflows(each)
    }
    assert whole == set(OURS)


@pytest.mark.usefixtures("platform")
def test_without_airflow_the_steps_of_a_run_are_one_trace_too(collected: Collector) -> None:
    runs = [steps for run_id, steps in of_runs(collected).items() if run_id.startswith("by_hand__")]
    # The history; whoever tried a command of the pages for newcomers came later.
    by_hand = min(runs, key=lambda steps: steps[0].start_time_unix_nano)

    assert [each.name for each in by_hand] == OURS
    assert len({each.trace_id for each in by_hand}) == 1
