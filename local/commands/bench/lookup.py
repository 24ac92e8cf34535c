"""``segue bench lookup``: the library and the service against the official async client."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from local.bench.lookup import LookupBench


def lookup(
    accounts: Annotated[int, typer.Option(min=100, help="Accounts in the table.")] = 20_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each kind; medians are shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Point lookups at 1, 16 and 64 in flight: official client, our library, our gRPC service."""
    from rich.console import Console

    from local.bench.lookup import bench_lookup

    console = Console(stderr=True)
    result = bench_lookup(
        accounts, seconds, rounds, lambda line: console.print(line, highlight=False, style="dim")
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        # outside a terminal rich assumes 80 columns, which would cut the headings
        Console(width=None if sys.stdout.isatty() else 120).print(_table(result))


def _table(result: LookupBench) -> Table:
    from rich.table import Table

    columns = ("in flight", "p50 ms", "p99 ms", "lookups/s", "CPU µs", "× official", "p99 ÷ official")
    table = Table("reader")
    for column in columns:
        table.add_column(column, justify="right")
    for row in result.rows:
        table.add_row(
            row.reader,
            str(row.in_flight),
            f"{row.p50_ms:.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.per_second:,.0f}",
            f"{row.cpu_us:.0f}",
            f"{row.speed_ratio:.1f}",
            f"{row.p99_ratio:.2f}",
        )
    return table
