"""``segue parse``: read the dbt project once, at deployment, so that no run has to."""

from __future__ import annotations

import typer


def parse() -> None:
    """Write the parsed dbt project that every run builds and publishes by, and print its path."""
    from runs.dbt import parse as parse_project
    from segue.settings import get_settings

    typer.echo(str(parse_project(get_settings())))
