"""``segue bench build``: a day of the subscriber marts against a rebuild, a range against single days."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer


def build(
    accounts: Annotated[
        list[int] | None,
        typer.Option("--accounts", min=1_000, help="Size of a company; may be repeated, smallest first."),
    ] = None,
    days: Annotated[int, typer.Option(min=30, help="Days of each company.")] = 90,
    rounds: Annotated[int, typer.Option(min=1, help="Increments and single days; medians are shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a day of which 1% of the subscriptions changed. A million accounts take a quarter hour."""
    from rich.console import Console
    from rich.table import Table

    from local.bench.build import bench_build
    from segue.settings import get_settings

    progress = Console(stderr=True)
    report = bench_build(
        get_settings(),
        accounts or (10_000, 100_000),
        days,
        rounds,
        lambda line: progress.print(line, highlight=False, style="dim"),
    )
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    table = Table("accounts")
    for column in (
        "subscriptions", "touched", "rebuild s", "increment s", "of days", "widest s", "day s",
        "increment ÷ rebuild", "net of the floor", "widest ÷ rebuild", "range ÷ single days",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for size, ratio in zip(report.sizes, report.ratios, strict=True):
        table.add_row(
            f"{size.accounts:,}",
            f"{size.subscriptions:,}",
            f"{size.touched_share:.1%}",
            f"{size.rebuild_seconds:.1f}",
            f"{size.increment_seconds:.1f}",
            f"{size.reached_days}",
            f"{size.widest_seconds:.1f}",
            f"{size.single_day_seconds:.1f}",
            f"{ratio.increment_share:.1%}",
            f"{ratio.net_increment_share:.1%}",
            f"{ratio.widest_share:.1%}",
            f"{ratio.range_share:.1%}",
        )
    # outside a terminal rich assumes 80 columns, which would cut the headings
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(
        f"{days} days; floor {report.floor_seconds} s (aims: increment 15%, range 10%); "
        f"the increment grows by {report.growth or '–'} from size to size"
    )
