"""``segue bench segments``: the decisions of one day with few and with many rules."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def segments(
    accounts: Annotated[int, typer.Option(min=1_000, help="Accounts to decide for.")] = 100_000,
    rules: Annotated[
        list[int] | None, typer.Option("--rules", min=1, help="Number of rules; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are medians.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what rules cost: 3, 30 and 300 over the same accounts, in one statement each."""
    from rich.console import Console
    from rich.table import Table

    from local.bench.segments import bench_segments
    from segue.settings import get_settings

    progress = Console(stderr=True)
    report = bench_segments(
        get_settings(),
        accounts,
        rules or (3, 30, 300),
        rounds,
        lambda line: progress.print(line, highlight=False, style="dim"),
    )
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    columns = ("statement kB", "seconds", "floor", "floor when new", "µs an account and rule", "peak MB")
    table = Table("rules")
    for column in columns:
        table.add_column(column, justify="right")
    for each in report.decided:
        table.add_row(
            str(each.rules),
            f"{each.statement_kb:.0f}",
            f"{each.seconds:.2f}",
            f"{each.floor_seconds:.2f}",
            f"{each.new_floor_seconds:.2f}",
            f"{each.us_per_account_and_rule:.2f}",
            "–" if each.peak_mb is None else f"{each.peak_mb:,.0f}",
        )
    console = Console()
    console.print(table)
    counts = [each.rules for each in report.decided]
    console.print(f"{report.accounts:,} accounts")
    if report.most_to_fewest is not None:
        times = f"{report.most_to_fewest} times as long as {min(counts)}"
        console.print(f"above the floor, {max(counts)} rules take {times}")
