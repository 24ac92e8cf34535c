"""The ``segue`` command line: one thin module per room; heavy imports sit inside the commands."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer

from cli import (
    alerts,
    as_of,
    callers,
    content,
    erase,
    experiments,
    generations,
    land,
    lookup,
    models,
    parse,
    proto,
    query,
    run,
    segments,
    serve,
)
from cli.failures import ExplainingGroup
from segue.garbage import collect_seldom
from segue.logs import configure_logs

app = typer.Typer(
    name="segue",
    cls=ExplainingGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(is_asked: bool) -> None:
    if is_asked:
        from segue_client.version import __version__

        typer.echo(f"segue {__version__}")
        raise typer.Exit


@app.callback()
def configure(
    debug: Annotated[  # noqa: ARG001 - the handler of failures reads it
        bool, typer.Option("--debug", help="Show the whole traceback of a failure.", envvar="SEGUE_DEBUG")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback says it
        bool,
        typer.Option("--version", help="Say the version.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    """Daily subscriber and conversion marts in BigQuery, offer segments in Bigtable."""
    collect_seldom()
    configure_logs()


app.add_typer(content.app, name="content")
app.add_typer(land.app, name="land")
app.command("run")(run.run)
app.command("parse")(parse.parse)
app.command("query")(query.query)
app.command("as-of")(as_of.as_of)
app.command("lookup")(lookup.lookup)
app.command("proto")(proto.proto)
app.add_typer(generations.app, name="generations")
app.command("serve")(serve.serve)
app.add_typer(callers.app, name="callers")
app.command("erase")(erase.erase)
app.add_typer(segments.app, name="segments")
app.add_typer(experiments.app, name="experiments")
app.add_typer(models.app, name="models")
app.add_typer(alerts.app, name="alerts")
for entry in sorted(entry_points(group="segue.commands"), key=lambda each: each.name):
    command = entry.load()
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=entry.name)
    else:
        app.command(entry.name)(command)
