"""What an operator asks of Airflow's API, in whatever order, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from loaders.warehouse.client import warehouse_of
from local.airflow_client import AirflowClient, DagRun
from local.demo import airflow_backfill
from local.platform import Platform
from runs.steps import STEPS
from segue.settings import Settings
from serving.configured import open_reader
from tests.company_in_order import DAY, HISTORY_END, LAST_DAY
from tests.marts import Fingerprints, fingerprints

FIRST_DAY, SECOND_DAY = HISTORY_END + DAY, HISTORY_END + 2 * DAY
MARTS_DAG, LOAD_DAG = "daily_marts", "offer_segments"


@dataclass(frozen=True)
class BrokenRun:
    """How a run of a broken day ended, and what could be read and looked up afterwards."""

    run_id: str
    state: str
    failed_task: str
    log: str
    published: Fingerprints
    generation_ms: int


@dataclass(frozen=True)
class MarkedRun:
    """A run whose tasks were marked successful one by one: what the next one said, what was published."""

    logs: dict[tuple[str, str], str]
    published: Fingerprints
    loads: tuple[int, int]


@dataclass(frozen=True)
class MarkedLoad:
    """A load whose tasks were marked successful one by one: how the next one ended, and what is online."""

    ends: dict[tuple[str, str], tuple[str | None, str]]
    generation_ms: int


@dataclass(frozen=True)
class Killed:
    """A service that was killed, and the tasks that ran then: (run_id, task_id)."""

    service: str
    running: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Interrupted:
    """A publication that was killed once it was visible, the scheduler with it; its task's state then."""

    run_id: str
    state: str | None
    published: Fingerprints


@dataclass(frozen=True)
class Story:
    """Every run of the story; those of the broken day by how it was broken.

    ``recovered`` is the run whose publication was killed, ``repeated`` the same after its publication was
    cleared alone, ``loads`` the loads before and after; ``unbuilt`` what its gate said, cleared once the
    audit dataset was dropped; ``rebuilt`` the mended run, landed and built once more and its publication
    cleared; ``reloaded`` a finished load's tasks, cleared one by one: their states, the generation then;
    ``marked_load`` another load, after that; ``killed`` what died under the second backfill and the mended
    run.
    """

    first_backfill: list[DagRun]
    broken: dict[str, BrokenRun]
    recovered: DagRun
    recovered_log: str
    mended: DagRun
    second_backfill: list[DagRun]
    repeated: DagRun
    loads: tuple[int, int]
    unbuilt: str
    rebuilt: DagRun
    rebuilt_log: str
    reloaded: dict[str, tuple[str | None, int]]
    marked_load: MarkedLoad
    killed: list[Killed]


@dataclass(frozen=True)
class Beginning:
    """The first backfill, and the broken day's run on schedule beside it."""

    backfill: list[DagRun]
    on_schedule: BrokenRun


@dataclass(frozen=True)
class ThirdDay:
    """The two runs of the broken day: how deliveries ended them, and what marking tasks by hand did."""

    scheduled: str
    by_hand: str
    broken: dict[str, BrokenRun]
    marked: MarkedRun


@dataclass(frozen=True)
class Forced:
    """The run that the gate refused: after its gate was marked successful, and after it was cleared."""

    marked: BrokenRun
    cleared: BrokenRun


def backfill(
    platform: Platform,
    airflow: AirflowClient,
    first: date,
    last: date,
    *,
    backwards: bool = False,
) -> None:
    """Start a backfill of [first, last] with the command line."""
    airflow.wait_for_backfills(MARTS_DAG, 300)
    airflow_backfill(platform, first, last, backwards=backwards, max_active_runs=2)
    airflow.unpause(MARTS_DAG)


def backfilled(airflow: AirflowClient, *days: date) -> list[DagRun]:
    """The days' backfill runs, when all have ended."""
    wanted = {str(day) for day in days}
    return airflow.wait_for_runs(
        MARTS_DAG, lambda run: run.run_type == "backfill" and run.day in wanted, len(wanted), 1200
    )


def run_by_hand(airflow: AirflowClient, day: date) -> str:
    """Trigger the day as an operator would after a correction; returns the run's id."""
    return airflow.trigger(MARTS_DAG, {"start_date": str(day), "end_date": str(day)})


def online_generation(settings: Settings, segment_date: date) -> int:
    """The generation that readers see, once it is of the day.

    Raises:
        TimeoutError: readers still see another day.
    """

    deadline = time.monotonic() + 300
    with open_reader(settings, refresh_seconds=0) as reader:
        while (pointer := reader.pointer()).segment_date != segment_date:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{pointer.segment_date} is online, not {segment_date}")
            time.sleep(0.5)
        return pointer.generation_ms


def ended(platform: Platform, airflow: AirflowClient, run: DagRun) -> BrokenRun:
    """What the run of a broken day left behind."""
    tasks = airflow.tasks(MARTS_DAG, run.run_id)
    failed = next((task for task in tasks if task.state == "failed"), tasks[-1])
    return BrokenRun(
        run.run_id,
        run.state,
        failed.task_id,
        airflow.log(MARTS_DAG, run.run_id, failed),
        fingerprints(platform.settings),
        online_generation(platform.settings, SECOND_DAY),
    )


def log_of(airflow: AirflowClient, run_id: str, task_id: str, dag_id: str = MARTS_DAG) -> str:
    """The log of the last try of a run's task."""
    [task] = [each for each in airflow.tasks(dag_id, run_id) if each.task_id == task_id]
    return airflow.log(dag_id, run_id, task)


def again(airflow: AirflowClient, run_id: str, *task_ids: str) -> DagRun:
    """Clear these tasks of a run, and no others; gives the run when it has ended."""
    airflow.clear(MARTS_DAG, run_id, *task_ids)
    return airflow.run(MARTS_DAG, run_id, 1200)


def whole_again(airflow: AirflowClient, run_id: str) -> None:
    """Clear all tasks of a run."""
    airflow.clear(MARTS_DAG, run_id, *(step.name for step in STEPS))


def load_again(settings: Settings, airflow: AirflowClient, run_id: str) -> dict[str, tuple[str | None, int]]:
    """Clear each task of a load that has ended, one after the other, the last ones first."""
    cleared = {}
    for name in ("publish", "load_shard", "begin", "choose_day"):
        airflow.clear(LOAD_DAG, run_id, name)
        airflow.run(LOAD_DAG, run_id, 600)
        [state] = {task.state for task in airflow.tasks(LOAD_DAG, run_id) if task.task_id == name}
        cleared[name] = state, online_generation(settings, LAST_DAY)
    return cleared


def mark_load(settings: Settings, airflow: AirflowClient) -> MarkedLoad:
    """Mark each task successful of a load by hand that nobody gave a day to."""
    run_id = airflow.trigger(LOAD_DAG, {})
    airflow.run(LOAD_DAG, run_id, 600)
    ends = {}
    for name, later in pairwise(("choose_day", "begin", "load_shard", "publish")):
        airflow.mark_successful(LOAD_DAG, run_id, name)
        airflow.run(LOAD_DAG, run_id, 600)
        [state] = {task.state for task in airflow.tasks(LOAD_DAG, run_id) if task.task_id == later}
        ran = state != "upstream_failed"
        ends[name, later] = state, log_of(airflow, run_id, later, LOAD_DAG) if ran else ""
    airflow.mark_successful(LOAD_DAG, run_id, "publish")
    return MarkedLoad(ends, online_generation(settings, LAST_DAY))


def mark_each(platform: Platform, airflow: AirflowClient, run_id: str) -> MarkedRun:
    """Mark each task of a run that failed at its first one as successful, and let the next one run."""
    before = len(airflow.runs(LOAD_DAG))
    logs = {}
    for step, later in pairwise(step.name for step in STEPS):
        # What follows a task that is marked successful, and had not run for it, is cleared with it.
        airflow.mark_successful(MARTS_DAG, run_id, step)
        airflow.run(MARTS_DAG, run_id, 600)
        logs[step, later] = log_of(airflow, run_id, later)
    return MarkedRun(logs, fingerprints(platform.settings), (before, len(airflow.runs(LOAD_DAG))))


def is_published(settings: Settings, day: date) -> bool:
    """Whether a run that ends with the day has published."""
    return bool(list(warehouse_of(settings).run(f"select 1 from ops.publications where run_date = '{day}'")))


def wait_until(happened: Callable[[], bool], timeout_seconds: float) -> None:
    """Look again and again, as fast as the answers come.

    Raises:
        TimeoutError: it has not.
    """
    deadline = time.monotonic() + timeout_seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {timeout_seconds:.0f} s")


def all_failures(airflow: AirflowClient, runs: list[DagRun], dag_id: str = MARTS_DAG) -> list[str]:
    """Each failed task with the end of its log."""
    return [
        f"{run.run_id} {task.task_id}: {airflow.log(dag_id, run.run_id, task)[-3000:]}"
        for run in runs
        for task in airflow.tasks(dag_id, run.run_id)
        if task.state == "failed"
    ]
