"""A step as a real collector has it: one in a process of its own, which passes on what it has understood."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pytest

from segue.settings import Settings
from segue.telemetry import MEASURES, present_step, step_of_run
from tests.bigquery_process import dying_with_parent, free_port
from tests.otlp_collector import Collector, attributes_of, collector

DAY = date(2026, 3, 2)
SECONDS = 20.0


@pytest.fixture(scope="module")
def watching() -> Iterator[Collector]:
    with collector() as kept:
        yield kept


@pytest.fixture(scope="module")
def endpoint(watching: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Rotel, a collector that comes as a wheel; what it takes it sends to ``watching``."""
    folder = tmp_path_factory.mktemp("collector")
    package = find_spec("rotel")
    assert package
    assert package.origin
    # The wheel does not say that it may be executed.
    binary = Path(shutil.copy(Path(package.origin).parent / "rotel-agent", folder))
    binary.chmod(0o755)
    grpc, http = free_port(), free_port()
    options = {
        "otlp-grpc-endpoint": f"127.0.0.1:{grpc}",
        "otlp-http-endpoint": f"127.0.0.1:{http}",
        "pid-file": folder / "pid",
        "log-file": folder / "log",
        "batch-timeout": "50ms",
        "exporter": "otlp",
        "otlp-exporter-endpoint": watching.endpoint,
    }
    command = [str(binary), "start", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(dying_with_parent(command), stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", grpc), 1):
                break
            time.sleep(0.05)
        else:
            pytest.fail((folder / "output").read_text())
        yield f"http://127.0.0.1:{grpc}"
    finally:
        process.terminate()
        process.wait(SECONDS)


def test_a_collector_takes_the_trace_and_the_measures_of_a_step(watching: Collector, endpoint: str) -> None:
    settings = Settings(_env_file=None, otlp_endpoint=endpoint)
    with step_of_run(settings, "scheduled__1", DAY, "publish", dag="daily_marts"):
        published = present_step().trace_parent
    assert published
    with (
        step_of_run(settings, "asset__1", DAY, "load_shard", started_by=[published], dag="offer_segments"),
        present_step().span("load.shard", shard=3),
    ):
        present_step().count("segue.load.rows", 5, outcome="written")

    until = time.monotonic() + SECONDS
    while time.monotonic() < until and (len(watching.spans) < 3 or "segue.load.rows" not in watching.metrics):
        time.sleep(0.05)

    spans = {each.name: each for each in watching.spans}
    assert set(spans) == {"segue.publish", "segue.load_shard", "load.shard"}
    shard, task = spans["load.shard"], spans["segue.load_shard"]
    assert (shard.trace_id, shard.parent_span_id) == (task.trace_id, task.span_id)
    assert [link.span_id for link in task.links] == [spans["segue.publish"].span_id]
    assert attributes_of(task)["segue.run_id"] == "asset__1"
    assert watching.metrics["segue.load.rows"] == [
        (5.0, {"step": "load_shard", "dag": "offer_segments", "outcome": "written"})
    ]
    assert {"segue.step.duration", "segue.step.finished"} <= set(watching.metrics) <= set(MEASURES)
