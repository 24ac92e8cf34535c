"""The demo says what has failed by its code, and started again it goes on with the same company."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from loaders.bigtable.load import load_generation
from loaders.bigtable.table import ensure_table
from local import platform
from local.airflow_client import AirflowClient
from local.company import CompanySpec, generate
from local.demo import DemoFailedError, failed_loads, forget_another_company, wait_online
from local.segment_rows import SegmentRows
from segue.settings import Settings
from tests.bigtable_fixture import account, offer

DAY = date(2026, 3, 1)


@contextmanager
def airflow_with_a_failed_load() -> Iterator[AirflowClient]:
    """What Airflow's REST API tells of `offer_segments`: its one run has failed."""
    run = {"dag_run_id": "of the day", "run_type": "asset_triggered", "state": "failed", "duration": 1.0}
    runs = {"dag_runs": [run | {"data_interval_start": None}]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                json.dumps({"access_token": "t"} if self.path == "/auth/token" else runs).encode()
            )

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield AirflowClient(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def test_a_load_that_fails_ends_the_demo_and_the_next_start_of_it_goes_on(bigtable_world: Settings) -> None:
    said: list[tuple[str, str]] = []

    def say(step: str, line: str) -> None:
        said.append((step, line))

    ensure_table(bigtable_world)
    with airflow_with_a_failed_load() as client:
        with pytest.raises(DemoFailedError, match=r"^offer_segments failed: of the day$"):
            wait_online(client, bigtable_world, DAY, say, failed_before=frozenset())

        # Airflow keeps the run that has failed, also when it is stopped and started.
        failed_before = failed_loads(client)
        loaded = load_generation(bigtable_world, DAY, SegmentRows([account("a1", offer())]))
        wait_online(client, bigtable_world, DAY, say, failed_before)

    assert said == [("online", f"generation {loaded.generation_ms} of {DAY}")]


def test_a_demo_that_is_started_again_goes_on_with_the_same_company(tmp_path: Path) -> None:
    spec = CompanySpec(accounts=20, days=3, seed=1, end_date=DAY)
    assert forget_another_company(tmp_path, spec)
    generate(spec, tmp_path / "company", landing=tmp_path / "landing")

    platform.down(tmp_path)
    assert not forget_another_company(tmp_path, spec)
    assert (tmp_path / "company").exists()

    larger = CompanySpec(accounts=21, days=3, seed=1, end_date=DAY)
    assert forget_another_company(tmp_path, larger)
    assert not (tmp_path / "company").exists()


def test_what_stops_the_demo_is_said_by_its_code_and_without_frames(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")

    done = subprocess.run(
        [sys.executable, "-m", "local.demo", "--state-dir", str(tmp_path / "state")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stdout.startswith("file_system: ")
    assert done.stdout.splitlines()[-1] == "see docs/runbook.md#file_system"
    assert "Traceback" not in done.stderr
