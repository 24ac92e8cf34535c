"""What dies while runs are under way, killed by its process id, and is started again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from loaders.bigtable.errors import LoadCode, LoadError
from local import platform as local_platform
from local.airflow_client import AirflowClient, TaskInstance
from local.platform import Platform
from local.services import airflow as airflow_services
from local.services import bigquery, bigtable, postgres
from local.services.service import StateFolder
from tests.e2e.orders import LOAD_DAG, MARTS_DAG, Killed, wait_until
from tests.e2e.workers import background


def kill_service(platform: Platform, service: str) -> None:
    """SIGKILL to a service of the platform."""
    process = StateFolder.open(platform.state_dir).files.find(service)
    assert process is not None, f"{service} does not run"
    os.kill(process.pid, signal.SIGKILL)


def is_running(platform: Platform, service: str) -> bool:
    """Whether the service's process lives."""
    return StateFolder.open(platform.state_dir).files.find(service) is not None


@contextmanager
def second_scheduler(platform: Platform) -> Iterator[None]:
    """Another scheduler on the same database, as who runs two of them for the sake of one's death."""
    command = [sys.executable, "-m", "airflow", *airflow_services.ARGUMENTS[airflow_services.SCHEDULER]]
    log = platform.state_dir / "logs/second-scheduler.log"
    with background(command, log, dict(platform.airflow_environment)):
        yield


def database_dies(platform: Platform, airflow: AirflowClient, *, but: str = "") -> Killed:
    """PostgreSQL is killed while tasks run; what stands on it finds it again, or is started again."""
    running = when_running(platform, airflow, MARTS_DAG, lambda _: True, but=but)
    kill_service(platform, postgres.NAME)
    local_platform.up(platform.state_dir, {postgres.NAME})
    return Killed(postgres.NAME, running)


def warehouse_dies(platform: Platform, airflow: AirflowClient, *, but: str = "") -> Killed:
    """BigQuery is killed while a day is being published."""
    running = when_running(platform, airflow, MARTS_DAG, lambda task: task.task_id == "publish", but=but)
    kill_service(platform, bigquery.NAME)
    local_platform.up(platform.state_dir, {bigquery.NAME})
    return Killed(bigquery.NAME, running)


def store_dies(platform: Platform, airflow: AirflowClient) -> Killed:
    """Bigtable is killed while a shard is being loaded; it comes back empty, with what was published last."""
    running = when_running(platform, airflow, LOAD_DAG, lambda task: task.task_id == "load_shard")
    kill_service(platform, bigtable.NAME)

    def is_back() -> bool:
        try:
            local_platform.up(platform.state_dir, local_platform.EMULATORS)
        except LoadError as error:
            if error.code != LoadCode.CHANGED:
                raise
            # The day that it loads was published anew meanwhile: who starts it is told to do so again.
            return False
        return True

    wait_until(is_back, 300)
    return Killed(bigtable.NAME, running)


def bring_back(platform: Platform) -> None:
    """What of Airflow has ended with its database is started again, as a service manager does."""
    gone = {part for part in airflow_services.COMPONENTS if not is_running(platform, part)}
    if gone:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
            local_platform.up(platform.state_dir, gone)
        print(f"ended, and started again: {', '.join(sorted(gone))}")


def when_running(
    platform: Platform,
    airflow: AirflowClient,
    dag_id: str,
    which: Callable[[TaskInstance], bool],
    *,
    but: str = "",
) -> frozenset[tuple[str, str]]:
    """The DAG's running tasks, as soon as one of them is of ``which``; ``but`` of a run whose are dead.

    Raises:
        TimeoutError: none is, for minutes.
    """
    found: set[tuple[str, str]] = set()

    def look() -> bool:
        found.clear()
        asked = False
        bring_back(platform)
        # Its database may be away.
        with suppress(httpx.HTTPError):
            alive = [run for run in airflow.runs(dag_id) if run.state == "running" and run.run_id != but]
            for run in alive:
                for task in airflow.tasks(dag_id, run.run_id):
                    if task.state == "running":
                        found.add((run.run_id, task.task_id))
                        asked |= which(task)
        return asked

    wait_until(look, 600)
    return frozenset(found)
