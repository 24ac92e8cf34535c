"""``segue content``: offers' content from the content management systems into landing files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Content of offers, from the content management systems.")

EXIT_NOT_CONFIGURED = 2


@app.callback()
def content() -> None:
    """Content of offers, from the content management systems."""


@app.command()
def pull(
    source: Annotated[
        list[str] | None,
        typer.Option(help="Only this system: contentful or directus; may be repeated.", show_default=False),
    ] = None,
    allow_deletions: Annotated[
        bool, typer.Option("--allow-deletions", help="Land it even when most entries are gone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Pull what changed since the last pull, from every system that is configured.

    Exit code: 0 all were pulled, 1 at least one could not be (the others were), 2 wrong usage or none
    configured.
    """
    from loaders.cms.contract import ContentError
    from loaders.cms.pull import PullResult, pull_content
    from loaders.cms.sources import SOURCES, configured_sources, open_source
    from runs.failures import describe
    from segue.logs import new_run_id
    from segue.settings import get_settings
    from segue.telemetry import step_of_run

    settings = get_settings()
    if source and (unknown := set(source) - set(SOURCES)):
        raise typer.BadParameter(f"unknown {', '.join(sorted(unknown))}; there are {', '.join(SOURCES)}")
    names = source or configured_sources(settings)
    if not names:
        typer.echo("no content management system is configured; see docs/content.md", err=True)
        raise typer.Exit(EXIT_NOT_CONFIGURED)
    results: list[PullResult] = []
    run_id, today = new_run_id(), datetime.now(UTC).date()
    for name in names:
        try:
            with (
                step_of_run(settings, run_id, today, "pull", source=name),
                open_source(settings, name) as system,
            ):
                results.append(pull_content(settings, system, allow_deletions=allow_deletions))
        except ContentError as error:
            for line in describe(error):
                typer.echo(line, err=True)
    if as_json:
        print(json.dumps([result.to_dict() for result in results], indent=2))
    else:
        for result in results:
            print(result.summary())
    if len(results) < len(names):
        raise typer.Exit(1)
