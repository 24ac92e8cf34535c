"""``segue run``: a range of days outside Airflow, step by step."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="UTC day, YYYY-MM-DD.")]


def run(
    start_date: Day,
    end_date: Day,
    load: Annotated[
        bool, typer.Option("--load/--no-load", help="Load the last day's segments online.")
    ] = True,
    data_tests: Annotated[
        bool,
        typer.Option("--data-tests", help="Run dbt's tests with the build: the first run of changed models."),
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Load a day on which nobody has an offer any more.")
    ] = False,
    override_reason: Annotated[
        str | None,
        typer.Option(help="Publish even if the gate refuses the days, for this reason, which is recorded."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the window as JSON.")] = False,
) -> None:
    """Build and publish START_DATE..END_DATE as one range, read experiments, load its last day online."""
    from runs import steps
    from segue.logs import new_run_id
    from segue.settings import get_settings
    from segue.telemetry import step_of_run

    settings = get_settings()
    console = Console(stderr=as_json)

    def report(step: str, line: str) -> None:
        console.print(f"[bold]{step:<10}[/bold] {line}")

    run_id = new_run_id()
    window = steps.run(
        settings,
        start_date.date(),
        end_date.date(),
        report,
        data_tests=data_tests,
        override_reason=override_reason,
        run_id=run_id,
    )
    with step_of_run(settings, run_id, window.end_date, "readouts"):
        report("readouts", steps.read_experiments(settings, window))
    if load:
        with step_of_run(settings, run_id, window.end_date, "load"):
            report("load", steps.load_online(settings, window.end_date, allow_empty=allow_empty))
    if as_json:
        print(window.model_dump_json())
