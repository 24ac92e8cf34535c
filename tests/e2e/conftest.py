"""One embedded platform for all end-to-end tests, with a small company of which three days are left to Airflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local.company import CompanySpec, generate

from local import platform as local_platform
from local.airflow_client import AirflowClient
from segue.run import run
from segue.settings import Settings

LAST_DAY = datetime.now(UTC).date() - timedelta(days=1)
HISTORY_END = LAST_DAY - timedelta(days=3)
FIRST_DAY = LAST_DAY - timedelta(days=20)
SPEC = CompanySpec(accounts=400, days=21, seed=7, end_date=LAST_DAY)


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated company: ``landing/``, ``truth/`` and ``manifest.json``."""
    folder = tmp_path_factory.mktemp("company")
    generate(SPEC, folder)
    return folder


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, company: Path) -> Iterator[local_platform.Platform]:
    """Everything running, the history built as one range, the last three days not yet."""
    state = tmp_path_factory.mktemp("platform")
    os.environ |= {"SEGUE_TASK_RETRIES": "0"}
    landing = state / "gcs" / "segue-landing"
    landing.parent.mkdir()
    landing.symlink_to(company / "landing")
    started = local_platform.up(state)
    try:
        run(started.settings, FIRST_DAY, HISTORY_END, lambda *_: None)
        yield started
    finally:
        local_platform.down(state)


@pytest.fixture(scope="session")
def landing(company: Path) -> Path:
    """The company's landing folder, which the platform reads."""
    return company / "landing"


@pytest.fixture(scope="session")
def airflow(platform: local_platform.Platform) -> AirflowClient:
    """Airflow's API, with both DAGs read."""
    client = AirflowClient(platform.airflow_url)
    client.wait_for_dags({"daily_marts", "offer_segments"}, 60)
    client.unpause("offer_segments")
    return client


@pytest.fixture(scope="session")
def in_order(platform: local_platform.Platform) -> Settings:
    """The same company in another project, built day after day without Airflow."""
    settings = platform.settings.model_copy(update={"project_id": "segue-in-order"})
    run(settings, FIRST_DAY, HISTORY_END, lambda *_: None)
    for days_left in (2, 1, 0):
        day = LAST_DAY - timedelta(days=days_left)
        run(settings, day, day, lambda *_: None)
    return settings
