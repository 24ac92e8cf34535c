"""What dies while days are built, published and loaded costs time, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from local.platform import Platform
from local.services import airflow as airflow_services
from runs.steps import STEPS
from tests.e2e.adding_up import badly_published, not_as_counted
from tests.e2e.disturbances import is_running
from tests.e2e.orders import Beginning, Story
from tests.e2e.workers import Worker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]


def test_two_schedulers_run_each_task_once(beginning: Beginning, workers: list[Worker]) -> None:
    runs = {run.run_id for run in beginning.backfill}
    began = Counter(
        (each.run_id, each.task_id) for worker in workers for each in worker.began() if each.run_id in runs
    )

    assert began == {(run, step.name): 1 for run in runs for step in STEPS}


def test_airflow_goes_on_when_its_database_was_killed_under_running_tasks(
    platform: Platform, story: Story
) -> None:
    database, _ = story.killed

    assert database.running
    assert [part for part in airflow_services.COMPONENTS if not is_running(platform, part)] == []


def test_a_publication_under_which_bigquery_was_killed_is_made_once_and_whole(
    platform: Platform, story: Story
) -> None:
    _, warehouse = story.killed

    assert "publish" in {task for _, task in warehouse.running}
    assert badly_published(platform.settings) == []


@pytest.mark.usefixtures("story")
def test_no_landed_row_is_lost(platform: Platform) -> None:
    assert not_as_counted(platform.settings) == []
