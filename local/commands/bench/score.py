"""``segue bench score``: scoring accounts against the bare library's predict."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def score(
    accounts: Annotated[int, typer.Option(min=1_000, help="Accounts of a round.")] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are medians.")] = 5,
    memory_accounts: Annotated[
        list[int] | None,
        typer.Option(
            "--memory-accounts", min=1_000, help="Size of a day to measure memory with; repeatable."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how fast accounts are scored on one core, from pages of features to a landing file."""
    from rich.console import Console
    from rich.table import Table

    from local.bench.score import bench_score

    report = bench_score(accounts, rounds, memory_accounts or ())
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    console = Console()
    console.print(
        f"{report.accounts:,} accounts, {report.trees} trees over {report.features} features: "
        f"{report.accounts_per_second:,} accounts/s; LightGBM's predict alone {report.predict_per_second:,}; "
        f"{report.share_of_predict} of it"
    )
    if report.memory:
        table = Table("accounts", "peak memory MB", "seconds")
        for each in report.memory:
            table.add_row(f"{each.accounts:,}", f"{each.peak_mb:.0f}", f"{each.seconds:.1f}")
        console.print(table)
