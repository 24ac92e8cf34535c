"""``segue generations``: list, verify and go back to what was loaded into Bigtable."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(
    name="generations", no_args_is_help=True, help="What was loaded into Bigtable: list, verify, go back."
)

Generation = Annotated[int, typer.Argument(help="Generation in milliseconds, as `list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All generations, newest first; `published` is what readers see, `kept` can be rolled back to."""
    from loaders.bigtable import list_generations
    from segue.settings import get_settings

    rows = list_generations(get_settings())
    if as_json:
        print(json.dumps([row.to_dict() for row in rows], indent=2))
        return
    from rich import box
    from rich.console import Console

    from cli.tables import folding_table

    table = folding_table(
        "generation", "day", "attempt", "state", "accounts", "removed", "readers",
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for row in rows:
        table.add_row(
            str(row.manifest.generation_ms),
            row.manifest.segment_date.isoformat(),
            str(row.manifest.attempt),
            row.manifest.state.value,
            f"{row.manifest.rows_out:,}",
            f"{row.manifest.tombstoned:,}",
            "[green]published[/green]" if row.is_published else "kept" if row.is_retained else "",
        )
    Console().print(table)


@app.command()
def verify(generation: Generation, as_json: AsJson = False) -> None:
    """Read a kept GENERATION back and compare it with what was written; exit code 1 when it differs."""
    from loaders.bigtable import verify as verify_generation
    from segue.settings import get_settings

    manifest = verify_generation(get_settings(), generation)
    if as_json:
        print(manifest.model_dump_json(indent=2))
    else:
        typer.echo(f"{generation}: {manifest.rows_out:,} accounts, checksum {manifest.checksum}, as written")


@app.command()
def rollback(generation: Generation, as_json: AsJson = False) -> None:
    """Make a kept GENERATION what readers see; they follow within seconds."""
    from loaders.bigtable import rollback as roll_back
    from segue.settings import get_settings

    pointer = roll_back(get_settings(), generation)
    if as_json:
        values = {
            "generation_ms": pointer.generation_ms,
            "segment_date": pointer.segment_date.isoformat(),
            "published_at": pointer.published_at.isoformat(),
        }
        print(json.dumps(values))
    else:
        typer.echo(f"readers now see generation {pointer.generation_ms} of {pointer.segment_date}")
