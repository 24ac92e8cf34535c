"""A disk that is full, and a landing that cannot be written: a sentence, and nothing is changed.

Each command runs where only it sees such a disk: in a mount namespace of its own.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.parse import urlparse

import pytest

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings
from tests.loaders.landing.rates import deliver

DAY = date(2026, 3, 1)
UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
FULL = "mount -t tmpfs -o size=4k full {}"
"""One page may be written, which is all that Python wants to see of a folder for temporary files."""
READ_ONLY = "mount --bind {0} {0} && mount -o remount,bind,ro {0}"


@pytest.fixture
def settings(world: Callable[..., Settings]) -> Settings:
    """A day has landed, and is delivered again with other rows."""
    fresh = world("disk")
    deliver(fresh, DAY, "EUR")
    assert land(fresh).returncode == 0
    deliver(fresh, DAY, "EUR", "SEK")
    return fresh


def land(settings: Settings, mount: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """``segue land day``."""
    return segue(settings, f"land day {DAY}", mount, **environment)


def segue(
    settings: Settings, command_line: str, mount: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command, after a mount that nobody else sees."""
    told = {
        "SEGUE_ENV_FILE": os.devnull,
        "SEGUE_PROJECT_ID": settings.project_id,
        "SEGUE_STATE_DIR": str(settings.state_dir),
        "SEGUE_BIGQUERY_ENDPOINT": str(settings.bigquery_endpoint),
        "SEGUE_BIGQUERY_STORAGE_ENDPOINT": str(settings.bigquery_storage_endpoint),
        "SEGUE_LANDING_URI": settings.landing_uri,
        "SEGUE_LANDING_FILES_URI": settings.landing_files_root,
    }
    command = [str(Path(sys.executable).parent / "segue"), *command_line.split()]
    if mount:
        if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this machine lets nobody mount anything")
        command = [*UNSHARE, "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
    return subprocess.run(
        command, env=os.environ | told | environment, capture_output=True, text=True, check=False
    )


def landed(settings: Settings) -> list[str]:
    return [
        row.currency for row in warehouse_of(settings).run("select currency from raw.fx_rates order by 1")
    ]


def test_a_full_disk_stops_the_landing_with_a_sentence_and_changes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    ended = land(settings, FULL.format(shlex.quote(str(tmp_path))), TMPDIR=str(tmp_path))

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-2:] == [
        "file_system: [Errno 28] No space left on device",
        "see docs/runbook.md#file_system",
    ]
    assert "Traceback" not in ended.stderr
    assert landed(settings) == ["EUR"]
    assert land(settings).returncode == 0
    assert landed(settings) == ["EUR", "SEK"]


def test_a_disk_that_dbt_finds_full_is_a_disk_that_is_full(tmp_path: Path) -> None:
    nowhere = Settings(_env_file=None, state_dir=tmp_path / "state")
    nowhere.state_dir.mkdir()

    ended = segue(nowhere, "parse", FULL.format(shlex.quote(str(nowhere.state_dir))))

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-2].startswith("file_system: [Errno 28] No space left on device: ")
    # dbt prints the frames of its own failure; Python would, of every line that its log does not take.
    assert "Logging error" not in ended.stdout + ended.stderr


def test_a_read_only_landing_stops_the_run_with_a_sentence_and_changes_nothing(settings: Settings) -> None:
    folder = urlparse(settings.landing_files_root).path

    ended = land(settings, READ_ONLY.format(shlex.quote(folder)))

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-3].startswith("object_store: _scratch/")
    assert "Read-only file system" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert landed(settings) == ["EUR"]
    assert land(settings).returncode == 0
    assert landed(settings) == ["EUR", "SEK"]
