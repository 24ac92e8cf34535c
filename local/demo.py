"""``make demo``: a generated company, its marts, the last days through Airflow's scheduler, a lookup."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import structlog
from rich.console import Console

from loaders.bigtable import load_segments
from local import platform
from local.airflow_client import AirflowClient, DagRun
from local.company import CompanySpec, generate
from local.company.trials import write_declarations
from local.demo_models import history_with_a_model
from local.demo_report import show
from runs.failures import describe, foreseen
from runs.steps import StepReport
from segue.errors import SegueError
from segue.settings import Settings
from serving.configured import open_reader

_DAY = timedelta(days=1)
_DATA_FOLDERS = ("company", "bigquery", "gcs", "data_docs", "validation_results", "postgres", "airflow")
SEED = 2026
console = Console(width=None if sys.stdout.isatty() else 120)


class DemoFailedError(SegueError):
    """A step of the demo did not end as it should; the message says which and where to look."""

    code = "demo_failed"


def main() -> None:
    """Parse the arguments, run the demo, exit 0 only when everything it promises happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=3_000)
    parser.add_argument("--history", type=int, default=67, help="days built as two ranges")
    parser.add_argument("--days", type=int, default=2, help="days backfilled through Airflow")
    parser.add_argument("--state-dir", type=Path, default=Path(".segue"))
    arguments = parser.parse_args()
    # The demo tells its own story; the steps' logs would only repeat it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        demo(arguments.accounts, arguments.history, arguments.days, arguments.state_dir.resolve())
    except Exception as error:
        failure = foreseen(error)
        if failure is None:
            raise
        for line in describe(failure):
            console.print(line, style="red", markup=False, soft_wrap=True)
        sys.exit(1)


def demo(accounts: int, history: int, days: int, state_dir: Path) -> None:
    """The whole way of the data, with its times.

    Raises:
        DemoFailedError: a run failed, or did not end in time.
    """
    started = time.monotonic()
    yesterday = datetime.now(UTC).date() - _DAY
    # With something that a model can learn.
    spec = CompanySpec(accounts, history + days, SEED, yesterday, plants_trials=True)
    first_day, last_history_day = spec.first_day, yesterday - days * _DAY

    def say(step: str, line: str) -> None:
        seconds = time.monotonic() - started
        console.print(f"[dim]{seconds:4.0f} s[/dim]  [bold]{step:<9}[/bold] {line}", soft_wrap=True)

    def progress(line: str) -> None:
        say("start", line)

    fresh = forget_another_company(state_dir, spec)
    # Before the platform begins, which is told of them.
    write_declarations(spec, state_dir / "company/experiments")
    with ThreadPoolExecutor(1) as pool:
        emulators = pool.submit(platform.up, state_dir, platform.EMULATORS, progress)
        if fresh:
            landing = state_dir / "gcs" / platform.LANDING_BUCKET
            rows = sum(generate(spec, state_dir / "company", landing=landing).rows.values())
            say("company", f"{accounts:,} accounts, {history + days} days, {rows:,} rows in landing")
        embedded = emulators.result()
    with ThreadPoolExecutor(1) as pool:
        # Airflow takes half a minute to start, mostly waiting: the history is built meanwhile.
        airflow = pool.submit(platform.up, state_dir, None, progress)
        history_with_a_model(embedded.settings, first_day, last_history_day, say)
        say("load", load_segments(embedded.settings, last_history_day).summary())
        embedded = airflow.result()

    client = AirflowClient(embedded.airflow_url)
    client.wait_for_dags({"daily_marts", "experiments", "offer_segments"}, 120)
    failed_before = failed_loads(client)
    _backfill(embedded, client, last_history_day + _DAY, yesterday, say)
    wait_online(client, embedded.settings, yesterday, say, failed_before)
    show(console, embedded, last_history_day, yesterday)
    console.print(f"Service    {embedded.service_address}")
    console.print(f"Airflow    {embedded.airflow_url}")
    console.print(f"Data docs  {_newest_data_docs(state_dir)}")
    say("done", "`make down` stops everything")


def _newest_data_docs(state_dir: Path) -> Path:
    """The front page of the newest day's validation; attempts' names begin with their day."""
    return max(state_dir.glob("data_docs/audit_*/index.html"))


def forget_another_company(state_dir: Path, spec: CompanySpec) -> bool:
    """Remove the data of a company with other parameters; True when this one has to be generated."""
    marker = state_dir / "company" / "spec.json"
    if marker.exists() and marker.read_text() == spec.to_json():
        return False
    platform.down(state_dir)
    for folder in _DATA_FOLDERS:
        shutil.rmtree(state_dir / folder, ignore_errors=True)
    return True


def airflow_backfill(
    embedded: platform.Platform, first: date, last: date, *, backwards: bool = False, max_active_runs: int = 1
) -> None:
    """``airflow backfill create`` for [first, last]; days that were built before are built again.

    Raises:
        DemoFailedError: Airflow refused; the message is what it printed.
    """
    command = [
        *("airflow", "backfill", "create", "--dag-id", "daily_marts"),
        *("--from-date", str(first), "--to-date", str(last)),
        *("--max-active-runs", str(max_active_runs), "--reprocess-behavior", "completed"),
        *(["--run-backwards"] if backwards else []),
    ]
    environment = os.environ | dict(embedded.airflow_environment)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoFailedError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _backfill(
    embedded: platform.Platform, client: AirflowClient, first: date, last: date, say: StepReport
) -> None:
    """The last days through the scheduler, with a line whenever a run or its tasks move on."""
    client.wait_for_backfills("daily_marts", 120)
    days = {str(first + _DAY * n) for n in range((last - first).days + 1)}
    say("backfill", f"airflow backfill create --dag-id daily_marts --from-date {first} --to-date {last}")
    airflow_backfill(embedded, first, last)
    client.unpause("offer_segments")
    client.unpause("experiments")
    client.unpause("daily_marts")
    seen: dict[str, str] = {}

    def tell(runs: list[DagRun]) -> None:
        for dag_run in runs:
            line = dag_run.state
            if dag_run.state == "running":
                tasks = client.tasks("daily_marts", dag_run.run_id)
                done = [task for task in tasks if task.state == "success"]
                line = f"running, {len(done)} of {len(tasks)} tasks done"
            elif dag_run.seconds:
                line += f" in {dag_run.seconds:.0f} s"
            if seen.get(dag_run.run_id) != line:
                seen[dag_run.run_id] = line
                say("airflow", f"daily_marts {dag_run.day} {line}")

    try:
        runs = client.wait_for_runs("daily_marts", lambda r: r.day in days, len(days), 600 * len(days), tell)
    except TimeoutError as error:
        raise DemoFailedError(str(error)) from error
    failed = [dag_run.day for dag_run in runs if dag_run.state != "success"]
    if failed:
        raise DemoFailedError(f"daily_marts failed for {failed}; see {embedded.airflow_url}/dags/daily_marts")


def failed_loads(client: AirflowClient) -> frozenset[str]:
    """Ids of the runs of ``offer_segments`` that have failed."""
    return frozenset(run.run_id for run in client.runs("offer_segments") if run.state == "failed")


def wait_online(
    client: AirflowClient, settings: Settings, day: date, say: StepReport, failed_before: frozenset[str]
) -> None:
    """Until readers see the day's generation; what had ``failed_before`` says nothing of this start.

    Raises:
        DemoFailedError: a load failed, or the generation did not come in two minutes.
    """
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if failed := failed_loads(client) - failed_before:
            raise DemoFailedError(f"offer_segments failed: {', '.join(sorted(failed))}")
        with open_reader(settings) as reader:
            pointer = reader.pointer()
        if pointer.segment_date == day:
            say("online", f"generation {pointer.generation_ms} of {day}")
            return
        time.sleep(1)
    raise DemoFailedError(f"the segments of {day} did not get online in time")


if __name__ == "__main__":
    main()
