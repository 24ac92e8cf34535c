"""Several workers that share no disk: a backfill under the Celery executor, with redis between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pytest

from local import platform as local_platform
from local.airflow_client import AirflowClient
from local.company import generate
from local.demo import airflow_backfill
from tests.bigquery_process import die_with_parent, free_port
from tests.company_in_order import DAY, HISTORY_END, LAST_DAY, SPEC
from tests.conftest import open_folder
from tests.e2e.conftest import all_failures
from tests.marts import Fingerprints, fingerprints

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(1200)]

FIRST_DAY, SECOND_DAY = HISTORY_END + DAY, HISTORY_END + 2 * DAY
WORKERS = ("one", "two")


@contextmanager
def process(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        running = subprocess.Popen(
            command, env=os.environ | environment, stdout=output, stderr=output, preexec_fn=die_with_parent
        )
    try:
        yield
        assert running.poll() is None, log.read_text()[-3000:]
    finally:
        running.terminate()
        running.wait(60)


@contextmanager
def worker(platform: local_platform.Platform, name: str, parsed: Path) -> Iterator[Path]:
    """A Celery worker for one task at a time; gives the folder that is its alone, empty at first."""
    folder = platform.state_dir / f"worker-{name}"
    folder.mkdir()
    environment = {
        **platform.airflow_environment,
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "SEGUE_STATE_DIR": str(folder / "state"),
        "SEGUE_DBT_PARSED_DIR": str(parsed),
    }
    command = ["celery", "worker", "--concurrency", "1", "--celery-hostname", name, "--skip-serve-logs"]
    with process([sys.executable, "-m", "airflow", *command], folder / "worker.log", environment):
        yield folder


@pytest.fixture(scope="module")
def platform() -> Iterator[local_platform.Platform]:
    """Everything running on Celery's executor, the history built, no worker yet."""
    with open_folder() as state, pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        port = free_port()
        redis = [
            "redis-server",
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--save",
            "",
            "--dir",
            str(state),
        ]
        stack.enter_context(process(redis, state / "redis.log", {}))
        patch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
        patch.setenv("AIRFLOW__CELERY__BROKER_URL", f"redis://127.0.0.1:{port}/0")
        patch.setenv("SEGUE_TASK_RETRIES", "0")
        generate(SPEC, state / "company", landing=state / "gcs" / local_platform.LANDING_BUCKET)
        try:
            emulators = local_platform.up(state, local_platform.EMULATORS)
            segue = Path(sys.executable).parent / "segue"
            history = subprocess.Popen(
                [str(segue), "run", str(SPEC.first_day), str(HISTORY_END), "--no-load"],
                env=os.environ | {"SEGUE_ENV_FILE": str(emulators.env_file)},
                preexec_fn=die_with_parent,
            )
            components = local_platform.AIRFLOW | local_platform.EMULATORS
            started = local_platform.up(state, components)
            assert history.wait(600) == 0
            yield started
        finally:
            local_platform.down(state)


def test_a_backfill_on_two_workers_without_a_common_folder_gives_the_same_tables(
    platform: local_platform.Platform,
    parsed_project: Path,
    published_in_order: dict[date, Fingerprints],
) -> None:
    airflow = AirflowClient(platform.airflow_url)
    airflow.wait_for_dags({"daily_marts"}, 300)
    with ExitStack() as workers:
        folders = [workers.enter_context(worker(platform, name, parsed_project.parent)) for name in WORKERS]
        airflow_backfill(platform, FIRST_DAY, SECOND_DAY, backwards=False, max_active_runs=2)
        airflow.unpause("daily_marts")
        # Nothing is paused any more, so the scheduler runs the last day as well.
        runs = airflow.wait_for_runs("daily_marts", lambda _: True, 3, 900)

    assert {run.state for run in runs} == {"success"}, all_failures(airflow, runs)
    assert fingerprints(platform.settings) == published_in_order[LAST_DAY]
    # Both have worked, and what one wrote the other has not seen.
    for folder in folders:
        assert list((folder / "logs").rglob("attempt=1.log")), (folder / "worker.log").read_text()[-3000:]
