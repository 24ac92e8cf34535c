"""What a second core gives the service: one worker on one core against two workers on two.

Everything lives on those cores, by turns: store, service and two clients, so that nothing but the cores is
more, and a client or a store that has a core to itself cannot make the service look better.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from local.bench.bigtable import empty_bigtable
from local.bench.cores import on_cores, two_cores
from local.bench.lookup import CLIENT, Progress, environment_of, free_port, load_accounts
from local.services.ports import LOOPBACK
from segue.settings import Settings
from serving.service.probe import health_of

CLIENTS: Final = 2
CONNECTIONS: Final = 16
"""Of each client: the kernel deals out connections, not calls, and few would not be dealt out evenly."""
IN_FLIGHT: Final = 64
"""Of each client."""


@dataclass(frozen=True)
class WorkersBench:
    """Lookups a second, medians over the rounds; the ratio is the median of each round's own."""

    accounts: int
    seconds: float
    rounds: int
    one: float
    two: float
    ratio: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_workers(accounts: int, seconds: float, rounds: int, say: Progress) -> WorkersBench:
    """Measures both, by turns.

    Raises:
        ServiceError: the emulator could not be started.
        RuntimeError: there are no two cores to choose, or a measurement failed; the message says which.
    """
    cores = two_cores()
    if cores is None:
        raise RuntimeError("there are no two cores that this process may choose between")
    taken: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for workers in (1, 2):
            with on_cores(set(cores[:workers])):
                taken[workers].append(_measure(workers, accounts, seconds))
            say(f"round {turn + 1}: {workers} × a core and a worker: {taken[workers][-1]:,.0f} lookups/s")
    return WorkersBench(
        accounts,
        seconds,
        rounds,
        one=statistics.median(taken[1]),
        two=statistics.median(taken[2]),
        ratio=statistics.median(two / one for one, two in zip(taken[1], taken[2], strict=True)),
    )


def _measure(workers: int, accounts: int, seconds: float) -> float:
    configured = Settings(  # type: ignore[call-arg]
        _env_file=None, service_address=f"{LOOPBACK}:{free_port()}", service_metrics_address=None
    )
    with empty_bigtable(configured) as settings:
        load_accounts(settings, accounts)
        with _service(settings, workers):
            clients = [
                subprocess.Popen(
                    [sys.executable, "-m", CLIENT, "service", str(IN_FLIGHT), str(accounts), str(seconds)],
                    env=environment_of(settings) | {"SEGUE_BENCH_CONNECTIONS": str(CONNECTIONS)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for _ in range(CLIENTS)
            ]
            ended = [each.communicate() for each in clients]
    if any(each.returncode for each in clients):
        raise RuntimeError(
            f"measuring {workers} workers failed:\n{''.join(said for _, said in ended)[-2000:]}"
        )
    return sum(float(json.loads(printed.splitlines()[-1])["per_second"]) for printed, _ in ended)


@contextmanager
def _service(settings: Settings, workers: int) -> Iterator[None]:
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "segue"), "serve", "--workers", str(workers)],
        env=environment_of(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        os.set_blocking(process.stderr.fileno(), False)
        log, deadline = b"", time.monotonic() + 60
        while log.count(b'"service is listening"') < workers:
            log += process.stderr.read() or b""
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service did not start: {log.decode()[-2000:]}")
            time.sleep(0.1)
        if problem := health_of(settings.service_address, "segue.offers.v1.OfferLookup"):
            raise RuntimeError(f"the service is not ready: {problem}")
        yield
    finally:
        process.terminate()
        process.wait()
