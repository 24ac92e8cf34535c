"""The DAG files: what they declare, and that reading them stays cheap."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from runs.steps import STEPS
from runs.task_alerts import ENDS_WITH
from segue.settings import PROJECT_ROOT

# Runs in a process of its own: importing Airflow decides its home folder for the whole process.
READ_DAGS = """
import json, sys
import airflow.sdk
before = set(sys.modules)
import content, daily_marts, day_watch, experiment_readouts, model_watch, offer_segments, restate_range
import train_models
loaded = set(sys.modules) - before

def described(dag):
    return {
        "timetable": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "start": str(dag.start_date.date()),
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "params": sorted(dag.params),
        "documented": bool(dag.doc_md),
        "owners": sorted({task.owner for task in dag.tasks}),
        "retries": sorted({task.retries for task in dag.tasks}),
        "backoff": sorted({bool(task.retry_exponential_backoff) for task in dag.tasks}),
        "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "assets": [
            asset.uri
            for condition in [getattr(dag.timetable, "asset_condition", None)] if condition is not None
            for asset in condition.objects
        ],
        "deadlines": [
            [due.name, type(due.reference).__name__, due.interval.total_seconds() / 3600, due.callback.path]
            for due in dag.deadline or []
        ],
        "mapped": sorted(task.task_id for task in dag.tasks if task.get_closest_mapped_task_group()),
        "waiting": [task.task_id for task in dag.tasks if getattr(task, "reschedule", False)],
    }

dags = {dag.dag_id: described(dag) for dag in (
    module.dag for module in (
        content, daily_marts, day_watch, experiment_readouts, model_watch, offer_segments, restate_range,
        train_models,
    )
)}
print("JSON" + json.dumps({"dags": dags, "loaded": sorted(loaded)}))
"""

HEAVY = (
    "great_expectations",
    "dbt.cli",
    "google.cloud.bigquery",
    "google.cloud.bigtable",
    "pyarrow",
    "pandas",
    "contentful",
    "httpx",
    "scipy",
)
"""Modules of seconds each, which belong inside the tasks: the files are read again and again."""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All DAG files, read the way the dag processor does."""
    state = tmp_path_factory.mktemp("dags")
    environment = os.environ | {
        "AIRFLOW_HOME": str(state / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": f"{PROJECT_ROOT / 'dags'}{os.pathsep}{PROJECT_ROOT}",
        "SEGUE_ENV_FILE": os.devnull,
        "SEGUE_STATE_DIR": str(state),
        "SEGUE_TASK_RETRIES": "3",
        "SEGUE_HISTORY_START_DATE": "2017-09-01",
    }
    done = subprocess.run(
        [sys.executable, "-c", READ_DAGS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.split("JSON")[-1])
    return answer


def test_reading_the_dag_files_loads_nothing_heavy(read: dict[str, Any]) -> None:
    assert [module for module in read["loaded"] if module.startswith(HEAVY)] == []


@pytest.mark.parametrize(
    "dag_id",
    [
        "content",
        "daily_marts",
        "day_watch",
        "experiments",
        "model_watch",
        "offer_segments",
        "restate_range",
        "train_models",
    ],
)
def test_a_dag_tells_an_operator_whose_it_is_and_what_to_do(read: dict[str, Any], dag_id: str) -> None:
    dag = read["dags"][dag_id]

    assert dag["documented"]
    assert "subscriptions" in dag["tags"]
    assert dag["owners"] == ["subscriptions-data"]
    assert (dag["retries"], dag["backoff"], dag["catchup"]) == ([3], [True], False)


def test_the_daily_run_covers_a_data_interval_and_takes_a_range(read: dict[str, Any]) -> None:
    dag = read["dags"]["daily_marts"]

    assert dag["timetable"] == "CronDataIntervalTimetable"
    assert dag["params"] == ["data_tests", "end_date", "override_reason", "start_date"]


def test_landing_waits_for_its_files_without_a_worker(read: dict[str, Any]) -> None:
    assert read["dags"]["daily_marts"]["waiting"] == ["land"]


def test_a_backfill_may_go_back_as_far_as_the_history_is_kept(read: dict[str, Any]) -> None:
    # Airflow leaves out what is before a DAG's start, without a word.
    assert read["dags"]["daily_marts"]["start"] == "2017-09-01"


def test_a_load_takes_its_day_its_mode_and_whether_it_may_be_empty(read: dict[str, Any]) -> None:
    assert read["dags"]["offer_segments"]["params"] == ["allow_empty", "mode", "segment_date"]


def test_experiments_are_read_whenever_their_sums_are_published_one_run_at_a_time(
    read: dict[str, Any],
) -> None:
    dag = read["dags"]["experiments"]

    assert (dag["assets"], dag["max_active_runs"]) == (["segue://marts/agg_experiment_daily"], 1)
    assert dag["params"] == ["end_date", "start_date"]
    assert dag["tasks"] == {"choose_days": [], "read": ["choose_days"]}


def test_models_are_watched_whenever_features_are_published_one_run_at_a_time(read: dict[str, Any]) -> None:
    dag = read["dags"]["model_watch"]

    assert (dag["assets"], dag["max_active_runs"]) == (["segue://marts/fct_account_features"], 1)
    assert dag["params"] == ["day"]
    assert dag["tasks"] == {"choose_day": [], "watch": ["choose_day"]}


def test_a_day_is_due_by_six_and_its_segments_half_an_hour_later(read: dict[str, Any]) -> None:
    dag = read["dags"]["day_watch"]

    # From the beginning of the day, which is the run's logical date.
    assert dag["deadlines"] == [
        ["marts published", "DagRunLogicalDateDeadline", 30.0, "runs.deadlines.marts_due"],
        ["segments online", "DagRunLogicalDateDeadline", 30.5, "runs.deadlines.segments_due"],
    ]
    assert dag["waiting"] == ["marts_published", "segments_online"]
    # What waits for segments must not keep a look from being made up for.
    assert dag["tasks"] == {
        "marts_published": [], "segments_online": ["marts_published"], "feeds": ["marts_published"],
        "volumes": ["marts_published"], "tell": ["feeds", "volumes"],
    }  # fmt: skip


def test_what_a_failed_task_of_any_dag_raises_some_success_ends(read: dict[str, Any]) -> None:
    assert set(ENDS_WITH) == set(read["dags"])
    sources = [*(PROJECT_ROOT / "dags").glob("*.py"), *(PROJECT_ROOT / "runs").glob("*.py")]
    closing = re.compile(r'(?:recovered|close_incidents)\(\s*[\w()]+,\s*"(\w+)"')
    ended = {end for source in sources for end in closing.findall(source.read_text())}
    assert set(ENDS_WITH.values()) <= ended


def test_a_range_is_built_in_chunks_that_are_each_steps_of_their_own(read: dict[str, Any]) -> None:
    dag = read["dags"]["restate_range"]

    assert dag["params"] == ["chunk_days", "data_tests", "dry_run", "from_date", "to_date"]
    assert dag["mapped"] == sorted(f"chunk.{step.name}" for step in STEPS)
    assert dag["tasks"]["chunk.land"] == ["plan"]
    assert dag["tasks"]["tell"] == ["chunk.drop_audit"]
    assert dag["max_active_runs"] == 1


def test_models_are_trained_weekly_one_after_another_or_for_a_day_and_models_that_are_named(
    read: dict[str, Any],
) -> None:
    dag = read["dags"]["train_models"]

    assert (dag["timetable"], dag["max_active_runs"]) == ("CronDataIntervalTimetable", 1)
    assert dag["params"] == ["day", "models"]
    assert dag["tasks"] == {
        "choose_models": [], "examples": ["choose_models"], "train": ["examples"],
        "drop_examples": ["examples", "train"], "tell": ["train"],
    }  # fmt: skip


def test_content_is_pulled_every_hour_by_one_run_at_a_time(read: dict[str, Any]) -> None:
    dag = read["dags"]["content"]

    assert (dag["timetable"], dag["max_active_runs"]) == ("CronTriggerTimetable", 1)
    assert dag["tasks"] == {"configured": [], "pull": ["configured"], "tell": ["pull"]}


def test_every_pool_that_a_step_runs_in_is_declared_with_one_slot() -> None:
    pools = json.loads((PROJECT_ROOT / "dags" / "pools.json").read_text())

    assert {name: pool["slots"] for name, pool in pools.items()} == {
        step.pool: 1 for step in STEPS if step.pool
    }


def test_nothing_is_published_that_was_not_built_whole_and_validated(read: dict[str, Any]) -> None:
    assert read["dags"]["daily_marts"]["tasks"] == {
        step.name: [before.name] if before else []
        for step, before in zip(STEPS, (None, *STEPS), strict=False)
    }
