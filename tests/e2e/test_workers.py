"""Several workers that share no disk, and tasks that find nothing on it: what is so tested is all the rest.

The story runs on Celery's executor: see ``tests/e2e/workers.py``.
"""

from __future__ import annotations

import pytest

from local.platform import Platform
from runs.steps import STEPS
from tests.e2e.orders import LOAD_DAG, MARTS_DAG
from tests.e2e.workers import Worker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400), pytest.mark.usefixtures("story")]

LOAD_TASKS = ("choose_day", "begin", "load_shard", "publish")


def test_every_task_of_both_dags_has_run_with_a_state_folder_of_its_own_that_was_empty(
    workers: list[Worker],
) -> None:
    began = {(each.dag_id, each.task_id) for worker in workers for each in worker.began()}

    assert began == {
        *((MARTS_DAG, step.name) for step in STEPS),
        *((LOAD_DAG, task) for task in LOAD_TASKS),
    }


def test_tasks_of_one_run_were_done_by_both_workers(workers: list[Worker]) -> None:
    one, two = ({each.run_id for each in worker.began() if each.dag_id == MARTS_DAG} for worker in workers)

    assert one & two


def test_a_large_landing_is_read_by_processes_side_by_side_in_a_workers_task(platform: Platform) -> None:
    logs = (platform.state_dir / "logs").rglob("task_id=land/*.log")

    assert [log for log in logs if "landing_read_side_by_side" in log.read_text()]
