"""``segue models page`` and ``watch``: what a trained model goes by, and whether it still holds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

DayOption = Annotated[
    datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="UTC day; by default the newest one.")
]


def page(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A declared model that was trained.")],
    version: Annotated[
        int | None,
        typer.Option("--version", help="Of the declaration; by default what is in use, or was trained last."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it; by default NAME-vVERSION.html here."),
    ] = None,
    day: DayOption = None,
) -> None:
    """Write a trained model's page: how good it is, what it goes by, and whether that still holds.

    HTML with plots that needs no network and runs no script.

    Exit code: 0 written, 3 nothing was trained by this name or version.
    """
    from runs.model_pages import model_page
    from segue.settings import get_settings

    found = model_page(get_settings(), name, version, day.date() if day else None)
    file = out or Path(f"{found.name}-v{found.version}.html")
    file.write_text(found.html, encoding="utf-8")
    typer.echo(f"wrote {file}")


def watch(day: DayOption = None) -> None:
    """Measure the models in use and in shadow against what they were trained on, on a published day.

    As the DAG `model_watch` does after each publication.

    Exit code: 0 measured, whatever was found.
    """
    from loaders.warehouse.client import warehouse_of
    from runs.model_watch import watch as watch_day
    from runs.segment_plan import newest_features
    from segue.settings import get_settings

    settings = get_settings()
    on = day.date() if day else newest_features(warehouse_of(settings))
    found = watch_day(settings, on)
    if not found:
        typer.echo(f"no model scores on {on}")
    for each in found:
        typer.echo(each.summary())
        for measure in each.measures:
            if measure.level != "ok":
                typer.echo(f"    {measure.level}: {measure.describe()}")
        for reason in each.outdated:
            typer.echo(f"    {reason}")
