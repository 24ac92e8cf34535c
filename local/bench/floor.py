"""What a run costs before it has data: one day of a company of almost nobody, beside a day of a larger one.

Each run is a ``segue run`` of its own, from the start of its process to its end, on an emulator that has
built other days before: what a day costs on a platform that is up. The *floor* is what no amount of data
changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from local.bench.bigquery import bigquery_pid, empty_bigquery
from local.company import CompanySpec, generate
from runs.steps import STEPS
from segue.settings import Settings

END: Final = date(2026, 6, 28)
_DAY: Final = timedelta(days=1)
_NAMES: Final = [step.name for step in STEPS]
_ENVIRONMENT: Final = (
    "project_id", "bigquery_endpoint", "bigquery_storage_endpoint", "landing_uri", "landing_files_uri",
    "state_dir", "history_start_date",
)  # fmt: skip


@dataclass(frozen=True)
class DayRun:
    """Seconds of one run: by step, of which the first contains the process's start, and of processor."""

    steps: dict[str, float]
    seconds: float
    client_cpu_seconds: float
    emulator_cpu_seconds: float


@dataclass(frozen=True)
class FloorReport:
    """Medians over the measured days of both companies."""

    accounts: int
    compared_accounts: int
    floor: DayRun
    compared: DayRun

    @property
    def share(self) -> float:
        """The floor's part of a day of the compared company."""
        return round(self.floor.seconds / self.compared.seconds, 3)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"share": self.share}


def bench_floor(
    settings: Settings,
    accounts: int = 50,
    compared_accounts: int = 3_000,
    days: int = 45,
    rounds: int = 3,
    say: Callable[[str], None] = lambda _: None,
) -> FloorReport:
    """Measure ``rounds`` days of each company, each on an emulator of its own.

    Raises:
        CalledProcessError: a run failed.
    """
    floor = _days(settings, accounts, days, rounds, say)
    compared = _days(settings, compared_accounts, days, rounds, say)
    return FloorReport(accounts, compared_accounts, median_of(floor), median_of(compared))


def median_of(runs: list[DayRun]) -> DayRun:
    """The median of each figure."""
    return DayRun(
        {name: round(median(run.steps[name] for run in runs), 1) for name in _NAMES},
        round(median(run.seconds for run in runs), 1),
        round(median(run.client_cpu_seconds for run in runs), 1),
        round(median(run.emulator_cpu_seconds for run in runs), 1),
    )


def _days(
    settings: Settings, accounts: int, days: int, rounds: int, say: Callable[[str], None]
) -> list[DayRun]:
    spec = CompanySpec(accounts=accounts, days=days, seed=11, end_date=END)
    with empty_bigquery(settings) as emulator:
        world = emulator.model_copy(update={"history_start_date": spec.first_day})
        folder = world.state_dir
        generate(spec, folder / "company", landing=folder / "gcs" / world.landing_uri.removeprefix("gs://"))
        # The last days one by one: the first of them is the first of its kind on this emulator.
        run_days(world, spec.first_day, END - _DAY * (rounds + 1))
        run_days(world, END - _DAY * rounds, END - _DAY * rounds)
        measured = []
        for ago in reversed(range(rounds)):
            measured.append(run_days(world, END - _DAY * ago, END - _DAY * ago))
            say(f"{accounts:,} accounts: a day in {measured[-1].seconds:.1f} s")
    return measured


def run_days(world: Settings, first: date, last: date) -> DayRun:
    emulator = psutil.Process(bigquery_pid(world))
    values = world.model_dump(mode="json", include=set(_ENVIRONMENT))
    before, started = _cpu(emulator), time.perf_counter()
    segue = str(Path(sys.executable).with_name("segue"))
    command = [segue, "run", str(first), str(last), "--no-load"]
    environment = {f"SEGUE_{name.upper()}": str(value) for name, value in values.items()}
    ended: dict[str, float] = {}
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            name = line.partition(" ")[0]
            if name in _NAMES:
                ended.setdefault(name, time.perf_counter())
        # Before Python waits for the process: its times are told once.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finished = time.perf_counter()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    steps, last_end = {}, started
    for name in _NAMES:
        steps[name], last_end = ended[name] - last_end, ended[name]
    return DayRun(steps, finished - started, usage.ru_utime + usage.ru_stime, _cpu(emulator) - before)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
