"""The embedded lookup service: started, found by the settings, restarted with its Bigtable."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path

import httpx

from loaders.bigtable.load import load_generation
from local import platform
from local.services.service import StateFolder
from segue.settings import Settings
from segue_client.answer import Outcome
from serving.configured import open_service_client
from tests.bigtable_fixture import account, source

BOTH = {"bigtable", "offer-lookup"}


def test_it_starts_with_the_platform_and_follows_its_bigtable(state_dir: Path) -> None:
    started = platform.up(state_dir, BOTH)
    assert {each.name: each.state for each in platform.status(state_dir, BOTH)} == dict.fromkeys(
        BOTH, "healthy"
    )
    clients = Settings(_env_file=started.env_file)
    assert clients.service_address == started.service_address
    load_generation(started.settings, date(2026, 1, 31), source(account("found")))
    with open_service_client(clients) as remote:
        assert remote.lookup("found").outcome is Outcome.FOUND
    assert "segue_lookups_total" in httpx.get(f"http://{clients.service_metrics_address}/metrics").text

    emulator = StateFolder.open(state_dir).files.find("bigtable")
    assert emulator is not None
    os.kill(emulator.pid, signal.SIGKILL)
    lines: list[str] = []
    platform.up(state_dir, BOTH, lines.append)
    assert [line.split(" started")[0] for line in lines] == ["bigtable", "offer-lookup"]
    assert set(platform.down(state_dir)) == BOTH
