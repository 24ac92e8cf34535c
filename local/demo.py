"""``make demo``: a generated company, two months of marts, the last days through Airflow's scheduler, a lookup."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console

from local import platform
from local.airflow_client import AirflowClient
from local.company import CompanySpec, generate
from segue.settings import Settings

SEED = 20_26
console = Console()


class DemoFailedError(RuntimeError):
    """A step of the demo did not end as it should; the message says which and where to look."""


def main() -> None:
    """Parse the arguments, run the demo, exit 0 only when everything it promises happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--history", type=int, default=60, help="days built as one range")
    parser.add_argument("--days", type=int, default=3, help="days backfilled through Airflow")
    parser.add_argument("--state-dir", type=Path, default=Path(".segue"))
    arguments = parser.parse_args()
    try:
        demo(arguments.accounts, arguments.history, arguments.days, arguments.state_dir.resolve())
    except DemoFailedError as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(1)


def demo(accounts: int, history: int, days: int, state_dir: Path) -> None:
    """The whole way of the data, with its times."""
    started = time.monotonic()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    spec = CompanySpec(accounts=accounts, days=history + days, seed=SEED, end_date=yesterday)
    first_day = yesterday - timedelta(days=history + days - 1)
    last_history_day = yesterday - timedelta(days=days)

    def say(step: str, line: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.0f} s[/dim]  [bold]{step:<10}[/bold] {line}")

    fresh = _forget_another_company(state_dir, spec)
    with ThreadPoolExecutor(1) as pool:
        company = pool.submit(generate, spec, state_dir / "company") if fresh else None
        embedded = platform.up(
            state_dir, services=platform.EMULATORS, on_progress=lambda line: say("start", line)
        )
        if company:
            rows = sum(company.result().rows.values())
            say("company", f"{accounts:,} accounts, {history + days} days, {rows:,} rows in landing")
    with ThreadPoolExecutor(1) as pool:
        # Airflow takes half a minute to start, mostly waiting: the history is built meanwhile.
        airflow = pool.submit(platform.up, state_dir, on_progress=lambda line: say("start", line))
        _build_history(embedded.settings, first_day, last_history_day, say)
        embedded = airflow.result()

    client = AirflowClient(embedded.airflow_url)
    _backfill(embedded, client, last_history_day + timedelta(days=1), yesterday, say)
    _wait_online(client, embedded.settings, yesterday, say)
    _show(embedded, last_history_day, yesterday)
    say("done", f"{time.monotonic() - started:.0f} s in all")


def _forget_another_company(state_dir: Path, spec: CompanySpec) -> bool:
    """Remove the data of a company with other parameters; True when this one has to be generated."""
    marker = state_dir / "company" / "spec.json"
    wanted = spec.to_json()
    if marker.exists() and marker.read_text() == wanted:
        return False
    platform.down(state_dir)
    for folder in ("company", "bigquery", "gcs", "data_docs", "validation_results", "postgres", "airflow"):
        shutil.rmtree(state_dir / folder, ignore_errors=True)
    marker.parent.mkdir(parents=True)
    landing = state_dir / "gcs" / "segue-landing"
    landing.parent.mkdir(parents=True)
    landing.symlink_to(state_dir / "company" / "landing")
    return True


def _build_history(settings: Settings, first: date, last: date, say: object) -> None:
    from loaders.bigtable import load_segments
    from segue.run import run

    run(settings, first, last, say)  # type: ignore[arg-type]
    say("load", load_segments(settings, last).summary())  # type: ignore[operator]


if __name__ == "__main__":
    main()
