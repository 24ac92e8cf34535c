"""Several processes on one port: they share the calls, stop together, and nobody else gets the port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import httpx
import psutil

from segue.settings import Settings
from segue_client.wire.offers_pb2 import LookupRequest
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from serving.service.probe import health_of
from tests.runbook.steps import says


def free_ports(count: int) -> list[int]:
    """Ports on loopback that follow each other, so that each worker has one for its metrics."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        ports = list(range(first, first + count))
        if all(_is_free(port) for port in ports):
            return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def two_workers(settings: Settings, folder: Path, address: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "SEGUE_ENV_FILE": os.devnull,
        "SEGUE_PROJECT_ID": settings.project_id,
        "SEGUE_BIGTABLE_EMULATOR_HOST": settings.bigtable_emulator_host or "",
        "SEGUE_SERVICE_ADDRESS": address,
        "SEGUE_SERVICE_METRICS_ADDRESS": f"127.0.0.1:{int(address.rpartition(':')[2]) + 1}",
        "SEGUE_SERVICE_DRAIN_WAIT_SECONDS": "0",
    }
    with (folder / "log").open("ab") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "segue"), "serve", "--workers", "2"],
            env=environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def listening(log: Path) -> int:
    return log.read_text().count('"service is listening"')


def test_two_workers_share_a_port_and_end_together(published: Settings, tmp_path: Path) -> None:
    service_port, *metrics_ports = free_ports(3)
    address, log = f"127.0.0.1:{service_port}", tmp_path / "log"
    with two_workers(published, tmp_path, address) as service:
        patience = time.monotonic() + 60
        while listening(log) < 2:
            assert service.poll() is None, log.read_text()
            assert time.monotonic() < patience, log.read_text()
            time.sleep(0.1)
        assert health_of(address, "segue.offers.v1.OfferLookup") is None

        # each connection is one worker's
        for _ in range(24):
            with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
                assert stub.Lookup(LookupRequest(account_id="found"), timeout=10).account_id == "found"
        answered = [
            float(line.rpartition(" ")[2])
            for port in metrics_ports
            for line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
            if line.startswith("segue_lookups_total{")
        ]
        assert len(answered) == 2
        assert sum(answered) == 24

        with two_workers(published, tmp_path, address) as second:
            assert second.wait(timeout=30) == 1
        assert "cannot listen on" in log.read_text()

        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0
    stopped = [json.loads(line)["event"] for line in log.read_text().splitlines() if line.startswith("{")]
    assert stopped.count("service has stopped") == 2


def test_when_a_worker_dies_the_others_end_too_and_it_is_said(published: Settings, tmp_path: Path) -> None:
    [service_port, *metrics_ports] = free_ports(3)
    address, log = f"127.0.0.1:{service_port}", tmp_path / "log"
    with two_workers(published, tmp_path, address) as service:
        patience = time.monotonic() + 60
        while listening(log) < 2:
            assert time.monotonic() < patience, log.read_text()
            time.sleep(0.1)
        workers = [
            each
            for each in psutil.Process(service.pid).children()
            if "spawn_main" in " ".join(each.cmdline())
        ]
        assert len(workers) == 2
        workers[0].kill()
        assert service.wait(timeout=20) == 1
        assert not workers[1].is_running()
    assert "worker_died: " in log.read_text()
    assert "see docs/runbook.md#worker_died" in log.read_text()

    says("worker_died", "If nothing starts it again by itself: `segue serve`")
    with two_workers(published, tmp_path, address):
        for port in metrics_ports:
            assert "segue_calls_in_flight" in _metrics(port, seconds=60)
        assert health_of(address) is None


def _metrics(port: int, seconds: float) -> str:
    """What a worker says as soon as it listens."""
    patience = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert time.monotonic() < patience
        time.sleep(0.1)
