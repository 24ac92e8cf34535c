"""Shared fixtures: one embedded BigQuery for each worker, an isolated world for each test module.

Workers (``pytest -n``) are processes: each has its own session fixtures. ``tests/grouping.py`` keeps tests
that share something dear in one worker; what all workers need is made once, in ``shared_folder``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from filelock import FileLock

from runs.dbt import ensure_parsed
from segue.garbage import collect_seldom
from segue.settings import Settings
from tests.bigquery_process import BigQueryEmulator, BigQueryProcess

pytest_plugins = [
    "tests.bigtable_fixture",
    "tests.company_in_order",
    "tests.gcs_fixture",
    "tests.grouping",
    "tests.sandbox_fixture",
]

collect_seldom()
# Nobody reads the debug log of a test's build, a twentieth of its time.
os.environ.setdefault("DBT_LOG_LEVEL_FILE", "none")

World = Callable[..., Settings]
"""``world(name, **overrides)`` gives the settings of a fresh, empty project."""


@contextmanager
def open_folder() -> Iterator[Path]:
    """An empty folder that PostgreSQL may enter, which has a user of its own where the tests are root's.

    Not in pytest's own folder: every pytest that starts closes that to others.
    """
    folder = Path(tempfile.mkdtemp(prefix="segue-tests-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Contents of files do not name a test: they are long, and zipped ones differ from process to process."""
    is_content = isinstance(val, bytes) or (isinstance(val, str) and len(val) > 100)
    return argname if is_content else None


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryEmulator]:
    """One emulator for the whole test session, on free ports, gone afterwards."""
    process = BigQueryProcess(tmp_path_factory.mktemp("bigquery"))
    yield process.emulator
    # Nothing here is worth keeping.
    process.kill()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run see; whoever makes something in it holds a lock."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def parsed_project(shared_folder: Path) -> Path:
    """The dbt project's manifest, parsed once for all workers and without credentials."""
    settings = Settings(_env_file=None, state_dir=shared_folder / "parsed")
    with FileLock(shared_folder / "parsed.lock"):
        ensure_parsed(settings)
    return settings.dbt_manifest


@pytest.fixture(scope="session")
def world(bigquery_emulator: BigQueryEmulator, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Factory of isolated worlds: own project, own landing bucket, own state folder, on the one emulator."""

    def make(name: str, **overrides: Any) -> Settings:
        label = f"{re.sub('[^a-z0-9]+', '-', name.lower())}-{uuid4().hex[:8]}"
        landing = bigquery_emulator.gcs_root / label
        landing.mkdir()
        values: dict[str, Any] = {
            "project_id": f"segue-{label}",
            "bigquery_endpoint": bigquery_emulator.rest_endpoint,
            "bigquery_storage_endpoint": bigquery_emulator.storage_endpoint,
            "landing_uri": f"gs://{label}",
            "landing_files_uri": landing.as_uri(),
            "state_dir": tmp_path_factory.mktemp(label),
            "landing_quiet_minutes": 0,
            "bigquery_deadline_seconds": 300,
        }
        return Settings(_env_file=None, **(values | overrides))

    return make


@pytest.fixture(scope="session")
def dbt_world(world: World, parsed_project: Path) -> World:
    """Factory of worlds in which the dbt project has been parsed."""

    def make(name: str, **overrides: Any) -> Settings:
        settings = world(name, **overrides)
        shutil.copytree(parsed_project.parent, settings.dbt_target_dir)
        return settings

    return make
