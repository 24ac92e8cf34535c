"""``segue bench floor``: what a run costs before it has data."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer


def floor(
    accounts: Annotated[int, typer.Option(min=1, help="A company of almost nobody.")] = 50,
    compared: Annotated[int, typer.Option(min=1, help="Accounts of the company beside it.")] = 3_000,
    rounds: Annotated[int, typer.Option(min=1, help="Days of each; medians are shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure `segue run` of one day, from the start of its process to its end, step by step."""
    from rich.console import Console
    from rich.table import Table

    from local.bench.floor import bench_floor
    from segue.settings import get_settings

    progress = Console(stderr=True)
    report = bench_floor(
        get_settings(),
        accounts,
        compared,
        rounds=rounds,
        say=lambda line: progress.print(line, highlight=False, style="dim"),
    )
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    table = Table("seconds of a day", *report.floor.steps, "all", "our CPU", "emulator's CPU")
    for count, run in ((report.accounts, report.floor), (report.compared_accounts, report.compared)):
        figures = (*run.steps.values(), run.seconds, run.client_cpu_seconds, run.emulator_cpu_seconds)
        table.add_row(f"{count:,} accounts", *(f"{figure:.1f}" for figure in figures))
    # outside a terminal rich assumes 80 columns, which would cut the headings
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    print(f"The floor is {report.share:.0%} of a day of {report.compared_accounts:,} accounts.")
