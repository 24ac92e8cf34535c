"""Point lookups: the official async client, the library and the service on one emulator, by turns.

Each measurement is a process of its own, so that nobody inherits another's warm caches or event loop, and
rounds alternate between the readers, so that a noisy machine is noisy for all of them. Clients and emulator
share one core and the service has another to itself, where the machine lets us choose.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import psutil

from local.bench.bigtable import empty_bigtable
from local.bench.cores import pin, two_cores
from local.segment_rows import SegmentRows
from local.services.ports import LOOPBACK
from segue.settings import Settings
from serving.service.probe import health_of

IN_FLIGHT: Final = (1, 16, 64)
READERS: Final = ("official", "library", "service")
CLIENT: Final = "local.bench.lookup_client"
SEGMENT_DATE: Final = date(2026, 1, 31)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """One reader at one concurrency; medians over the rounds. CPU is of the process that looks up in
    Bigtable, per lookup: the client, or the service."""

    reader: str
    in_flight: int
    p50_ms: float
    p99_ms: float
    per_second: float
    cpu_us: float
    speed_ratio: float = 1.0
    p99_ratio: float = 1.0


@dataclass(frozen=True)
class LookupBench:
    """All measurements of one run."""

    accounts: int
    seconds: float
    rounds: int
    rows: list[Measurement]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_lookup(accounts: int, seconds: float, rounds: int, say: Progress) -> LookupBench:
    """Measures every reader at every concurrency.

    Raises:
        ServiceError: the emulator could not be started.
        RuntimeError: a measurement failed; the message is what it printed.
    """
    cores = two_cores()
    configured = Settings(  # type: ignore[call-arg]
        _env_file=None, service_address=f"{LOOPBACK}:{free_port()}", service_metrics_address=None
    )
    with empty_bigtable(configured, cores and cores[0]) as settings:
        load_accounts(settings, accounts)
        say(f"{accounts:,} accounts loaded")
        with _service(settings, cores) as service:
            rows = _measure(settings, accounts, seconds, rounds, service, cores, say)
    return LookupBench(accounts, seconds, rounds, rows)


def _measure(
    settings: Settings,
    accounts: int,
    seconds: float,
    rounds: int,
    service: psutil.Process,
    cores: tuple[int, int] | None,
    say: Progress,
) -> list[Measurement]:
    taken: dict[tuple[str, int], list[dict[str, float]]] = {}
    for turn in range(rounds):
        for in_flight in IN_FLIGHT:
            for reader in READERS:
                values = _run(settings, reader, in_flight, accounts, seconds, service, cores)
                taken.setdefault((reader, in_flight), []).append(values)
                say(f"round {turn + 1}: {reader} × {in_flight}: {values['per_second']:,.0f} lookups/s")
    return [_summary(taken, reader, in_flight) for in_flight in IN_FLIGHT for reader in READERS]


def _summary(
    taken: dict[tuple[str, int], list[dict[str, float]]], reader: str, in_flight: int
) -> Measurement:
    def median(name: str) -> float:
        return statistics.median(each[name] for each in taken[reader, in_flight])

    def ratio(name: str) -> float:
        pairs = zip(taken[reader, in_flight], taken["official", in_flight], strict=True)
        return statistics.median(ours[name] / theirs[name] for ours, theirs in pairs)

    return Measurement(
        reader,
        in_flight,
        median("p50_ms"),
        median("p99_ms"),
        median("per_second"),
        median("cpu_us"),
        speed_ratio=ratio("per_second"),
        p99_ratio=ratio("p99_ms"),
    )


def _run(
    settings: Settings,
    reader: str,
    in_flight: int,
    accounts: int,
    seconds: float,
    service: psutil.Process,
    cores: tuple[int, int] | None,
) -> dict[str, float]:
    # the service has the second core to itself; a client that reads the table takes its place
    core = cores and (cores[0] if reader == "service" else cores[1])
    done = subprocess.run(
        [sys.executable, "-m", CLIENT, reader, str(in_flight), str(accounts), str(seconds)],
        env=environment_of(settings)
        | ({} if core is None else {"SEGUE_BENCH_CORE": str(core)})
        | ({"SEGUE_BENCH_CPU_OF": str(service.pid)} if reader == "service" else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"measuring {reader} failed:\n{done.stderr[-2000:]}")
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


@contextmanager
def _service(settings: Settings, cores: tuple[int, int] | None) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "segue"), "serve"],
        env=environment_of(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if cores:
            pin(process.pid, {cores[1]})
        deadline = time.monotonic() + 60
        while problem := health_of(settings.service_address, "segue.offers.v1.OfferLookup", 1.0):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service did not start: {problem}")
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def load_accounts(settings: Settings, accounts: int) -> None:
    """Publishes a generation with these accounts."""
    from loaders.bigtable.load import load_generation

    offers = [_offer("winback-3-months"), _offer("family-1-month")]
    segments = [
        {"account_id": account_id(number), "offers": offers, "held_back": [], "market": "DE"}
        for number in range(accounts)
    ]
    load_generation(settings, SEGMENT_DATE, SegmentRows(segments))


def _offer(name: str) -> dict[str, Any]:
    return {
        "offer_id": name, "rule_id": f"rule-{name}", "rule_version": 3, "priority": 10, "score": 0.5,
        "reason_code": "SELECTED", "experiment_id": None, "variant": None, "is_control": False,
        "content_id": f"content-{name}", "content_version": 2, "valid_until_at": None,
        "content_locale": "de-DE",
    }  # fmt: skip


def account_id(number: int) -> str:
    """The id of an account of the benchmark."""
    return f"a{number:09d}"


def environment_of(settings: Settings) -> dict[str, str]:
    """What a process needs to find the benchmark's table and service."""
    return os.environ | {
        "SEGUE_ENV_FILE": os.devnull,
        "SEGUE_PROJECT_ID": settings.project_id,
        "SEGUE_BIGTABLE_EMULATOR_HOST": settings.bigtable_emulator_host or "",
        "SEGUE_SERVICE_ADDRESS": settings.service_address,
        "SEGUE_SERVICE_METRICS_ADDRESS": f"{LOOPBACK}:0",
        "SEGUE_SERVICE_DRAIN_WAIT_SECONDS": "0",
        # a machine that is slow for a moment shows in the times, and ends no measurement
        "SEGUE_LOOKUP_TIMEOUT_SECONDS": "20",
        "GRPC_VERBOSITY": "ERROR",
    }


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
