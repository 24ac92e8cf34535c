"""The ``segue`` command line: one thin module per room; heavy imports sit inside the commands."""

from __future__ import annotations

import sys

import structlog
import typer

from segue.cli import (
    as_of,
    bench,
    callers,
    company,
    content,
    erase,
    generations,
    land,
    local,
    lookup,
    run,
    segments,
    serve,
)

app = typer.Typer(
    name="segue",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def configure() -> None:
    """Daily subscriber and conversion marts in BigQuery, offer segments in Bigtable."""
    # Standard output belongs to the answer, which may be JSON; standard error is looked up at every line,
    # because whoever calls the command line from Python may exchange it.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


app.add_typer(local.app, name="local")
app.command("company")(company.company)
app.add_typer(content.app, name="content")
app.add_typer(land.app, name="land")
app.command("run")(run.run)
app.command("as-of")(as_of.as_of)
app.command("lookup")(lookup.lookup)
app.add_typer(generations.app, name="generations")
app.command("serve")(serve.serve)
app.add_typer(callers.app, name="callers")
app.add_typer(bench.app, name="bench")
app.command("erase")(erase.erase)
app.add_typer(segments.app, name="segments")
