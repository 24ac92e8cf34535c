"""``segue bench``: measurements, each a ratio within one run."""

from __future__ import annotations

import typer

from segue.cli.bench import lookup

app = typer.Typer(no_args_is_help=True, help="Measure, as ratios within one run.")
app.command("lookup")(lookup.lookup)
