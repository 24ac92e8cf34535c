"""A lookup service in a thread of its own, on what the loader wrote."""

from __future__ import annotations

import asyncio
import threading
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
        update={"service_address": "127.0.0.1:0", "service_metrics_address": "127.0.0.1:0"} | changes
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


@pytest.fixture(scope="module")
def published(bigtable_emulator: str) -> Settings:
    """One generation with an account for each answer."""
    settings = Settings(
        _env_file=None, project_id="segue-lookup-service", bigtable_emulator_host=bigtable_emulator
    )
    rows = [
        account("found", offer("first"), offer("second", score=None, is_control=True)),
        account("found, one offer over", offer("over", valid_until_at=PAST), offer("left")),
        account("suppressed", offer(), suppressed_reason="CONSENT_WITHDRAWN"),
        account("expired", offer(), valid_until_at=PAST),
    ]
    load_generation(settings, DAY, source(*rows))
    return settings


@pytest.fixture
def callers_file(tmp_path: Path) -> Path:
    """``checkout`` may look ten thousand accounts up a second, ``home`` one, three at once."""
    path = tmp_path / "callers.yml"
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
