"""Shared fixtures: one embedded BigQuery for each worker, an isolated world for each test module.

Workers (``pytest -n``) are processes: each has its own session fixtures. ``tests/grouping.py`` keeps tests
that share something dear in one worker; what all workers need is made once, in ``shared_folder``.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from filelock import FileLock

from local.services.bigquery import command, import_spatial_extension
from runs.dbt import ensure_parsed
from segue.settings import PROJECT_ROOT, Settings

pytest_plugins = [
    "tests.bigtable_fixture",
    "tests.company_in_order",
    "tests.gcs_fixture",
    "tests.grouping",
]

World = Callable[..., Settings]
"""``world(name, **overrides)`` gives the settings of a fresh, empty project."""


@dataclass(frozen=True)
class BigQueryEmulator:
    """Addresses of the session's emulator and the folder that its ``gs://`` resolves under."""

    rest_endpoint: str
    storage_endpoint: str
    gcs_root: Path


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


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _emulator_binary() -> Path:
    configured = os.environ.get("SEGUE_BQEMULATOR_BIN")
    binary = Path(configured) if configured else PROJECT_ROOT / ".segue/bqemulator-env/bin/bqemulator"
    if not binary.exists():
        pytest.fail(
            f"no BigQuery emulator at {binary}: run `make up` once or set SEGUE_BQEMULATOR_BIN", pytrace=False
        )
    import_spatial_extension(binary)
    return binary


def die_with_parent() -> None:
    """A killed test run must not leave its emulator behind (Linux; elsewhere the fixture's end does it)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    process.kill()
    pytest.fail(f"the BigQuery emulator did not start:\n{log.read_text()[-2000:]}", pytrace=False)


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryEmulator]:
    """One emulator for the whole test session, on free ports, gone afterwards."""
    home = tmp_path_factory.mktemp("bigquery")
    gcs_root = home / "gcs"
    gcs_root.mkdir()
    rest, grpc = free_port(), free_port()
    log = home / "bqemulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *command(_emulator_binary()), "start", "--persistent", "--data-dir", str(home / "data"),
                "--rest-port", str(rest), "--grpc-port", str(grpc), "--project", "segue-tests",
                "--log-level", "warning",
            ],
            env=os.environ | {"BQEMU_GCS_LOCAL_ROOT": str(gcs_root)},
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        endpoint = f"http://127.0.0.1:{rest}"
        _wait_until_healthy(process, f"{endpoint}/bigquery/v2/projects/segue-tests/datasets", log)
        yield BigQueryEmulator(endpoint, f"127.0.0.1:{grpc}", gcs_root)
    finally:
        # SIGTERM waits for a running query, and nothing here is worth keeping.
        process.kill()
        process.wait()


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
