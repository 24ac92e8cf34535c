"""``segue run``: a range of days outside Airflow, step by step."""

from __future__ import annotations

import json
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the window as JSON.")] = False,
) -> None:
    """Land, build, validate and publish START_DATE..END_DATE as one range, then load its last day online."""
    from segue import run as platform_run
    from segue.settings import get_settings

    settings = get_settings()
    console = Console(stderr=as_json)
    window = platform_run.run(
        settings,
        start_date.date(),
        end_date.date(),
        lambda step, line: console.print(f"[bold]{step:<9}[/bold] {line}"),
    )
    if load:
        from loaders.bigtable import load_segments

        result = load_segments(settings, window.end_date)
        console.print(f"[bold]{'load':<9}[/bold] {result.summary()}")
    if as_json:
        print(json.dumps(window.to_dict()))
