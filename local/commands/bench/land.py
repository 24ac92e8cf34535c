"""``segue bench land``: checking landing files by columns against checking them row by row."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def land(
    rows: Annotated[
        int, typer.Option(min=300, help="Notifications of a round, of three providers.")
    ] = 30_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the figures are medians.")] = 5,
    refused: Annotated[float, typer.Option(min=0, max=1, help="Share of the rows that are broken.")] = 0.001,
    memory_rows: Annotated[
        list[int] | None,
        typer.Option("--memory-rows", min=1_000, help="Size of a file to measure memory with; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how fast landing checks notifications in Parquet, NDJSON and CSV. Takes a minute."""
    from rich.console import Console
    from rich.table import Table

    from local.bench.land import bench_land

    report = bench_land(rows, rounds, refused, memory_rows or ())
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    console = Console()
    table = Table("format", "rows", "bytes a row", "rows/s", "CPU µs/row", "row by row", "times")
    for each in report.formats:
        table.add_row(
            each.format,
            f"{each.rows:,}",
            f"{each.bytes_per_row:.0f}",
            f"{each.rows_per_second:,}",
            f"{each.cpu_us_per_row:.1f}",
            f"{each.row_by_row_cpu_us_per_row:.1f}",
            f"{each.times_row_by_row:.1f}",
        )
    console.print(table)
    console.print(f"{report.refused_share:.1%} of the rows are refused")
    if report.memory:
        whole = Table("one file", "rows", "peak memory MB", "seconds")
        for file in report.memory:
            whole.add_row(file.format, f"{file.rows:,}", f"{file.peak_mb:.0f}", f"{file.seconds:.1f}")
        console.print(whole)
