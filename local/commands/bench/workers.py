"""``segue bench workers``: two workers of the service on two cores against one on one."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def workers(
    accounts: Annotated[int, typer.Option(min=100, help="Accounts in the table.")] = 5_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each kind; medians are shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Lookups a second with `segue serve --workers 2` on two cores, against one worker on one core."""
    from rich.console import Console

    from local.bench.workers import bench_workers

    console = Console(stderr=True)
    result = bench_workers(
        accounts, seconds, rounds, lambda line: console.print(line, highlight=False, style="dim")
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    typer.echo(
        f"one worker on one core {result.one:,.0f} lookups/s, two on two {result.two:,.0f}: "
        f"{result.ratio:.2f} times as many"
    )
