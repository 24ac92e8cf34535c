"""The clients of other languages, built once for a session, and what all of them are asked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from loaders.bigtable.load import load_generation
from local.sandbox.accounts import SEGMENT_DATE, sandbox_accounts
from local.segment_rows import SegmentRows
from segue.settings import PROJECT_ROOT, Settings
from tests.bigtable_fixture import account, offer
from tests.certificates import Authority
from tests.sandbox_fixture import Sandbox
from tests.serving.service.conftest import served

CONTRACT = PROJECT_ROOT / "clients/python/segue_client/proto/segue/offers/v1"
JAVA = PROJECT_ROOT / "clients/java"
NODE = PROJECT_ROOT / "clients/node"
PYTHON = PROJECT_ROOT / "clients/python"

SHOWN = ("client_certificate_file", "client_key_file")

Run = Callable[..., str]
"""``run(*command, **environment)`` gives what a command prints; it fails with that, when the command does."""


def declared_scenarios() -> list[dict[str, Any]]:
    """The scenarios of ``scenarios.json``, whole: left out is what most have alike."""
    declared = json.loads(Path(__file__).with_name("scenarios.json").read_text(encoding="utf-8"))
    return [_whole(each) for each in declared]


def _whole(declared: dict[str, Any]) -> dict[str, Any]:
    repeated = declared.pop("repeated", 1)
    usual = {
        "token": "test-token",
        "timeout_seconds": 5,
        "service_config": None,
        "is_over_tls": False,
        "shows_certificate": False,
        "is_batch": False,
        "times": 2,
        "answers": None,
        "refusal": None,
    }
    scenario = usual | declared
    if scenario["refusal"] is not None:
        scenario["refusal"] = {"is_told_when": False} | scenario["refusal"]
    if scenario["service_config"] is not None:
        scenario["service_config"] = str(CONTRACT / scenario["service_config"])
    if scenario["answers"] is not None:
        nothing = {"offers": [], "held_back": [], "suppressed_reason": None}
        scenario["answers"] = [
            {"account_id": account_id} | nothing | answer
            for account_id, answer in zip(scenario["account_ids"], scenario["answers"], strict=True)
        ] * repeated
    scenario["account_ids"] = scenario["account_ids"] * repeated
    return scenario


@pytest.fixture(scope="session")
def mutual_tls(bigtable_emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A service with the accounts of the sandbox, and a large one, that wants certificates, and its files."""
    settings = Settings(
        _env_file=None, project_id="segue-clients-over-tls", bigtable_emulator_host=bigtable_emulator
    )
    stored = [each.row() for each in sandbox_accounts() if each.stored is not None]
    # of which a batch is answered with more than the 4 MiB that gRPC takes by itself
    large = account("test-large", offer("an-offer", reason_code="R" * 4_500))
    load_generation(settings, SEGMENT_DATE, SegmentRows([*stored, large]))
    authority = Authority(tmp_path_factory.mktemp("authority"))
    certificate, key = authority.issue("service")
    shown = authority.issue("client")
    with served(
        settings,
        service_certificate_file=certificate,
        service_key_file=key,
        service_client_ca_file=authority.file,
    ) as running:
        yield {
            "address": running.settings.service_address,
            "ca_file": str(authority.file),
            "client_certificate_file": str(shown[0]),
            "client_key_file": str(shown[1]),
        }


@pytest.fixture(scope="session")
def scenarios(sandbox: Sandbox, mutual_tls: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenarios in a file, with the address to ask and the files to do so."""

    def reached(scenario: dict[str, Any]) -> dict[str, Any]:
        if not scenario["is_over_tls"]:
            return scenario | dict.fromkeys(mutual_tls) | {"address": sandbox.address}
        nothing_shown = {} if scenario["shows_certificate"] else dict.fromkeys(SHOWN)
        return scenario | mutual_tls | nothing_shown

    path = tmp_path_factory.mktemp("clients") / "scenarios.json"
    path.write_text(json.dumps([reached(each) for each in declared_scenarios()]))
    return path


@pytest.fixture(scope="session")
def run_node() -> Run:
    """Runs commands in ``clients/node``, which is built with the packages of its lock file."""
    npm = _installed("npm", "node")
    lock = hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()
    stamp = NODE / "node_modules/.installed"
    run = _runner(NODE)
    with FileLock(NODE / ".lock"):
        if not stamp.exists() or stamp.read_text() != lock:
            run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            stamp.write_text(lock)
        run(npm, "run", "build")
    return run


@pytest.fixture(scope="session")
def run_java() -> Run:
    """Runs commands in ``clients/java``, which is built."""
    _installed("javac", "protoc", "grpc_java_plugin")
    run = _runner(JAVA)
    run("./build.sh")
    return run


def _installed(*commands: str) -> str:
    """Where the first of these commands is."""
    missing = [each for each in commands if shutil.which(each) is None]
    if missing:
        pytest.fail(f"no {' and '.join(missing)}: run `make test` once, or `make java node`", pytrace=False)
    return str(shutil.which(commands[0]))


def _runner(folder: Path) -> Run:
    def run(*command: str, **environment: str) -> str:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | environment, capture_output=True, text=True,
            check=False, timeout=240,
        )  # fmt: skip
        if done.returncode != 0:
            pytest.fail(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}", pytrace=False)
        return done.stdout

    return run
