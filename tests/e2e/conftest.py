"""One embedded platform for all end-to-end tests; three days of its small company are left to Airflow."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from local import platform as local_platform
from local.airflow_client import AirflowClient, DagRun
from local.company import generate
from local.demo import airflow_backfill
from runs.steps import run
from tests.company_in_order import DAY, HISTORY_END, LAST_DAY, SPEC


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the generated company's ``truth/`` and ``manifest.json``."""
    return tmp_path_factory.mktemp("company")


@pytest.fixture(scope="session")
def platform(company: Path) -> Iterator[local_platform.Platform]:
    """Everything running, the history built as one range, the last three days not yet."""
    # Not in pytest's own folder: every pytest that starts closes that to others, and with it to the user that
    # PostgreSQL runs as where the tests are root's.
    state = Path(tempfile.mkdtemp(prefix="segue-e2e-"))
    generate(SPEC, company, landing=state / "gcs" / local_platform.LANDING_BUCKET)
    # A broken day shall fail at once; what retries are for is not tested here.
    os.environ["SEGUE_TASK_RETRIES"] = "0"
    started = local_platform.up(state)
    try:
        run(started.settings, SPEC.first_day, HISTORY_END, lambda *_: None)
        yield started
    finally:
        local_platform.down(state)
        shutil.rmtree(state, ignore_errors=True)
        del os.environ["SEGUE_TASK_RETRIES"]


@pytest.fixture(scope="session")
def landing(platform: local_platform.Platform) -> Path:
    """The landing folder that the platform reads."""
    return platform.state_dir / "gcs" / local_platform.LANDING_BUCKET


@pytest.fixture(scope="session")
def airflow(platform: local_platform.Platform) -> AirflowClient:
    """Airflow's API, with both DAGs read."""
    client = AirflowClient(platform.airflow_url)
    client.wait_for_dags({"daily_marts", "offer_segments"}, 60)
    client.unpause("offer_segments")
    return client


def run_backfill(
    platform: local_platform.Platform,
    airflow: AirflowClient,
    first: date,
    last: date,
    *,
    backwards: bool = False,
) -> list[DagRun]:
    """Backfill [first, last] with the command line and wait for its runs."""
    airflow.wait_for_backfills("daily_marts", 120)
    days = {str(first + DAY * n) for n in range((last - first).days + 1)}
    airflow_backfill(platform, first, last, backwards=backwards, max_active_runs=2)
    airflow.unpause("daily_marts")
    return airflow.wait_for_runs("daily_marts", lambda run: run.day in days, len(days), 900)


@pytest.fixture(scope="session")
def backfills(platform: local_platform.Platform, airflow: AirflowClient) -> list[DagRun]:
    """Two backfills: the first of the three days backwards, the second over one of its days again."""
    return [
        *run_backfill(platform, airflow, HISTORY_END + DAY, LAST_DAY - DAY, backwards=True),
        *run_backfill(platform, airflow, LAST_DAY - DAY, LAST_DAY),
    ]
