"""``segue as-of``: the marts as they were known on an earlier day."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from cli.run import Day


def as_of(
    start_date: Day,
    end_date: Day,
    known_on: Annotated[
        datetime, typer.Option("--known-on", formats=["%Y-%m-%d"], help="Last arrival day that may be read.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the dataset as JSON.")] = False,
) -> None:
    """Build START_DATE..END_DATE as known on a day, in a dataset of its own; what is published stays."""
    from runs.as_of import build_as_of
    from segue.settings import get_settings

    settings = get_settings()
    dataset = build_as_of(settings, start_date.date(), end_date.date(), known_on.date())
    if as_json:
        print(
            json.dumps({"dataset": f"{settings.project_id}.{dataset}", "as_of_date": f"{known_on:%Y-%m-%d}"})
        )
    else:
        Console().print(f"{settings.project_id}.{dataset}")
