"""``segue sandbox`` as a developer of a client starts it, once for a worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.services.bigtable import CHOICE_VARIABLE
from tests.bigtable_fixture import emulator_binary


@dataclass(frozen=True)
class Sandbox:
    """Where it listens and keeps its table, its tokens, and what it says of its accounts, by their ids."""

    address: str
    bigtable_emulator_host: str
    tokens: dict[str, float]
    accounts: dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The command on a free port, ended with the session."""
    folder = tmp_path_factory.mktemp("sandbox")
    told = {
        "SEGUE_ENV_FILE": os.devnull,
        "SEGUE_STATE_DIR": str(folder),
        CHOICE_VARIABLE: emulator_binary(),
        # whatever a developer's shell says of a real platform
        "SEGUE_PROJECT_ID": "production",
        "SEGUE_SERVICE_ADDRESS": "0.0.0.0:1",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "segue"), "sandbox", "--port", "0", "--json"],
            env=os.environ | told,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        # standard output is the answer's alone; it ends without a line when the start fails
        line = next((line for line in process.stdout if line.startswith("{")), "")
        assert line, (folder / "log").read_text()
        said = json.loads(line)
        accounts = {each["account_id"]: each for each in said["accounts"]}
        yield Sandbox(said["service"], said["bigtable_emulator"], said["tokens"], accounts)
    finally:
        process.terminate()
        process.wait(30)
