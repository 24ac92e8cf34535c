"""A state folder whose services are gone when its test is over, whatever the test did to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import platform
from local.services import bigquery
from segue.settings import PROJECT_ROOT
from tests.conftest import open_folder


@pytest.fixture(autouse=True)
def _installed_bigquery_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the emulator that is installed already: making an environment for each test would take minutes."""
    if bigquery.BINARY_VARIABLE not in os.environ:
        installed = PROJECT_ROOT / ".segue" / "bqemulator-env" / "bin" / "bqemulator"
        monkeypatch.setenv(bigquery.BINARY_VARIABLE, str(installed))


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A state folder that nothing was started in yet."""
    with open_folder() as folder:
        yield folder / "state"
        platform.down(folder / "state")
