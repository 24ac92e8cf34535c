"""A lookup service in a thread of its own, on what the loader wrote."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from loaders.bigtable.load import load_generation
from segue.settings import Settings
from serving.service.callers import hash_token
from serving.service.server import RunningService, run_service
from tests.bigtable_fixture import account, offer, source

DAY = date(2026, 1, 31)
PAST = datetime(2026, 1, 1, tzinfo=UTC)
TOKENS = {"checkout": "token-of-checkout", "home": "token-of-home"}


@dataclass
class Served:
    """A running service; ``settings`` are those of a client of it."""

    settings: Settings
    running: RunningService
    loop: asyncio.AbstractEventLoop


@contextmanager
def served(settings: Settings, **changes: Any) -> Iterator[Served]:
    """The service on free ports, drained at the end."""
    settings = settings.model_copy(
        update={
            "service_address": "127.0.0.1:0",
            "service_metrics_address": "127.0.0.1:0",
            "service_drain_wait_seconds": 0.0,
        }
        | changes
    )
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    service = run_service(settings)
    try:
        running = asyncio.run_coroutine_threadsafe(service.__aenter__(), loop).result(30)
        host = "localhost" if settings.service_certificate_file else "127.0.0.1"
        client = settings.model_copy(update={"service_address": f"{host}:{running.port}"})
        try:
            yield Served(client, running, loop)
        finally:
            asyncio.run_coroutine_threadsafe(service.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class ServingProcess:
    """``segue serve``, listening."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path


@contextmanager
def serving_process(settings: Settings, **environment: str) -> Iterator[ServingProcess]:
    """The command as a process of its own, killed at the end if it has not ended by itself."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        told = {
            "SEGUE_ENV_FILE": os.devnull,
            "SEGUE_PROJECT_ID": settings.project_id,
            "SEGUE_BIGTABLE_EMULATOR_HOST": settings.bigtable_emulator_host or "",
            "SEGUE_SERVICE_ADDRESS": "127.0.0.1:0",
            "SEGUE_SERVICE_METRICS_ADDRESS": "",
            "SEGUE_SERVICE_DRAIN_WAIT_SECONDS": "0",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(Path(sys.executable).parent / "segue"), "serve"],
                env=os.environ | told | environment,
                stdout=output,
                stderr=output,
            )
        try:
            yield ServingProcess(process, f"127.0.0.1:{_listening_port(log)}", log)
        finally:
            process.kill()
            process.wait()


def _listening_port(log: Path) -> int:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if '"service is listening"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="session")
def published(bigtable_emulator: str) -> Settings:
    """One generation with an account for each answer."""
    settings = Settings(
        _env_file=None, project_id="segue-lookup-service", bigtable_emulator_host=bigtable_emulator
    )
    rows = [
        account("found", offer("first"), held_back=[offer("second", score=None, is_control=True)]),
        account("found, one offer over", offer("over", valid_until_at=PAST), offer("left")),
        account("suppressed", offer(), suppressed_reason="CONSENT_WITHDRAWN"),
        account("expired", offer(), valid_until_at=PAST),
    ]
    load_generation(settings, DAY, source(*rows))
    return settings


@pytest.fixture
def callers_file(tmp_path: Path) -> Path:
    """``checkout`` may look ten thousand accounts up a second, ``home`` one, three at once."""
    return write_callers_file(tmp_path / "callers.yml")


def write_callers_file(path: Path) -> Path:
    """The file of ``callers_file``, at this path."""
    limits = {"checkout": (10_000, 10_000), "home": (1, 3)}
    entries = [
        {
            "name": name,
            "token_sha256": hash_token(TOKENS[name]),
            "lookups_per_second": per_second,
            "burst": burst,
        }
        for name, (per_second, burst) in limits.items()
    ]
    path.write_text(yaml.safe_dump({"callers": entries}))
    return path
