"""``segue bench sizes``: rows and bytes of a day, table by table, and the seconds of its run."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def sizes(
    accounts: Annotated[int, typer.Option(min=1_000, help="Size of the company.")] = 20_000,
    days: Annotated[int, typer.Option(min=30, help="Days of its history.")] = 45,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what a day is made of: the figures that docs/scale.md multiplies. Takes some minutes."""
    from rich.console import Console
    from rich.table import Table

    from local.bench.sizes import bench_sizes
    from segue.settings import get_settings

    progress = Console(stderr=True)
    report = bench_sizes(
        get_settings(), accounts, days, lambda line: progress.print(line, highlight=False, style="dim")
    )
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    table = Table("table", "rows of the day", "bytes an account of the day", "bytes an account in all")
    for each in report.tables:
        table.add_row(
            f"{each.dataset}.{each.table}",
            f"{each.rows_of_day:,}",
            f"{each.bytes_of_day / accounts:.1f}",
            f"{each.bytes / accounts:.1f}",
        )
    console = Console()
    console.print(table)
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.step_seconds.items())
    per_account = report.landing_file_bytes_of_day / accounts
    console.print(f"{accounts:,} accounts, {per_account:.1f} bytes of landing files an account; {steps}")
