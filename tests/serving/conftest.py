"""Node and the packages of ``tests/serving/node``, installed once for a lock file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from segue.settings import PROJECT_ROOT

SCRIPTS = PROJECT_ROOT / "tests/serving/node"
RunNode = Callable[..., Any]
"""``run_node(script, *arguments, **environment)`` gives what the script prints, parsed as JSON."""


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages of the lock file, in a folder that later sessions find again."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.fail("no Node.js: run `make test` once, or install Debian's nodejs and npm", pytrace=False)
    lock = (SCRIPTS / "package-lock.json").read_bytes()
    folder = PROJECT_ROOT / ".segue" / "node" / hashlib.sha256(lock).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    installed = folder / "installed"
    with FileLock(folder / ".lock"):
        if not installed.exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SCRIPTS / name, folder / name)
            subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder, check=True, capture_output=True, timeout=240,
            )  # fmt: skip
            installed.touch()
    return folder / "node_modules"


@pytest.fixture(scope="session")
def run_node(node_modules: Path) -> RunNode:
    """Runs a script of ``tests/serving/node``."""
    # the Google Cloud client would look for a metadata server on the network
    fixed = {"NODE_PATH": str(node_modules), "METADATA_SERVER_DETECTION": "none"}

    def run(script: str, *arguments: str, **environment: str) -> Any:
        done = subprocess.run(
            ["node", str(SCRIPTS / script), *arguments],
            env=os.environ | fixed | environment,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
