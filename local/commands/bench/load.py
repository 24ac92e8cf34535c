"""``segue bench load``: the bulk loader against the official client and against prebuilt requests."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def load(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows that each writer writes in a round.")] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are medians.")] = 9,
    memory_rows: Annotated[
        list[int] | None,
        typer.Option("--memory-rows", min=1_000, help="Size of a whole load to measure; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the bulk loader: speed, client CPU a row, memory. Takes a minute; more with big loads."""
    from local.bench.load import bench_load
    from segue.settings import get_settings

    report = bench_load(get_settings(), rows, rounds, memory_rows or ())
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("writer", "rows", "rows/s", "client CPU µs/row")
    for writer in report.writers:
        cpu = f"{writer.client_cpu_us_per_row:.2f}"
        table.add_row(writer.name, f"{writer.rows:,}", f"{writer.rows_per_second:,.0f}", cpu)
    console.print(table)
    console.print(
        f"{report.times_bulk_mutate_rows} × bulk_mutate_rows (aim 8), "
        f"{report.share_of_ceiling} of the ceiling (aim 0.9), "
        f"{report.client_cpu_us_per_row} µs client CPU a row (aim 5), "
        f"{report.payload_bytes:.0f} bytes a payload"
    )
    if report.memory:
        whole = Table("whole load, rows", "peak memory MB", "seconds", "client CPU µs/row")
        for each in report.memory:
            cpu = f"{each.client_cpu_us_per_row:.2f}"
            whole.add_row(f"{each.rows:,}", f"{each.peak_mb:.0f}", f"{each.seconds:.1f}", cpu)
        console.print(whole)
