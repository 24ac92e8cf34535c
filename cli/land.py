"""``segue land``: arrival days into the raw tables, foreign billing exports into landing files."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="land", no_args_is_help=True, help="Arrival days into raw; billing exports into landing files."
)

Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Arrival day (UTC), YYYY-MM-DD.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("day")
def day_(
    day: Day,
    through: Annotated[
        bool, typer.Option("--through", help="Also land earlier arrival days that are still missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Land the files that arrived on DAY: they replace what raw and quarantine hold of that day."""
    from loaders.landing.arrivals import Arrivals
    from loaders.landing.days import land_through
    from loaders.landing.land import land_days
    from segue.logs import new_run_id
    from segue.settings import get_settings
    from segue.telemetry import step_of_run

    asked = day.date()
    settings = get_settings()
    arrivals = Arrivals.read(settings)
    with step_of_run(settings, new_run_id(), asked, "land"):
        if through:
            landings = land_through(settings, arrivals, asked, asked).landings
        else:
            landings = land_days(settings, [asked], arrivals=arrivals)
    if not through:
        earlier = [each for each in arrivals.missing(asked) if each < asked]
        if earlier:
            said = f"{len(earlier)} earlier arrival days, {earlier[0]} the first, have not landed"
            typer.echo(f"{said}: --through lands them", err=True)
    if as_json:
        rows = [
            {
                "table": landing.table,
                "arrival_date": landing.day.isoformat(),
                "files": landing.files,
                "rows_in": landing.rows_in,
                "rows_out": landing.rows_out,
                "rows_quarantined": landing.rows_quarantined,
                "rows_ignored": landing.rows_ignored,
                "absent_columns": landing.absent_columns,
            }
            for landing in landings
        ]
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console

    from cli.tables import folding_table

    table = folding_table("arrival day", "table", "files", "in", "out", "quarantined", "ignored")
    for landing in landings:
        if landing.files:
            counts = (
                landing.files,
                landing.rows_in,
                landing.rows_out,
                landing.rows_quarantined,
                landing.rows_ignored,
            )
            table.add_row(str(landing.day), landing.table, *(f"{count:,}" for count in counts))
    Console().print(table)


@app.command()
def periods(
    export: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV with one row per subscription period.")
    ],
    map_: Annotated[
        Path, typer.Option("--map", exists=True, dir_okay=False, help="YAML that says which column is what.")
    ],
    out: Annotated[
        str | None, typer.Option("--out", help="Folder or URI for the files; by default the landing root.")
    ] = None,
    arrival_date: Annotated[
        datetime | None,
        typer.Option(
            "--arrival-date",
            formats=["%Y-%m-%d"],
            help="Everything arrives on this UTC day and replaces what earlier exports said; without it, "
            "each row arrives on the day it happened.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a plain billing EXPORT as canonical landing files; `segue land day` then lands them."""
    from loaders.landing.arrivals import Arrivals
    from loaders.landing.period_map import read_period_map
    from loaders.landing.periods import land_periods
    from loaders.objects.store import open_store
    from segue.settings import get_settings

    settings = get_settings()
    root = out or settings.landing_files_root
    result = land_periods(
        export,
        read_period_map(map_),
        open_store(settings, root),
        arrival_date.date() if arrival_date else None,
        landed=Arrivals.read(settings).landed if root == settings.landing_files_root else (),
        feeds=settings.feeds or (),
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    typer.echo(
        f"{result.periods_out:,} of {result.periods_in:,} periods and {result.accounts_out:,} of "
        f"{result.accounts_in:,} accounts, arriving {result.first_arrival}..{result.last_arrival}, in {root}"
    )
    for refusal in result.refused[:10]:
        typer.echo(f"refused: {refusal.file} row {refusal.row}: {refusal.reason}", err=True)
    if len(result.refused) > 10:
        typer.echo(f"refused: {len(result.refused):,} in all, kept in {root}/_refused", err=True)
    if result.superseded:
        typer.echo(
            f"{result.superseded:,} periods of no length are left out: another begins at the same instant",
            err=True,
        )
    if result.files_removed:
        typer.echo(f"{result.files_removed:,} files of an earlier conversion are gone", err=True)
    if result.withdrawn:
        typer.echo(f"{result.withdrawn:,} subscriptions that the export before named are withdrawn", err=True)
    if result.withdraws_nothing:
        typer.echo("rows were refused: subscriptions that are not named stay as they are", err=True)
    if result.accounts_begin_anew:
        typer.echo(
            "accounts are said to begin with the first period named here: give accounts.created", err=True
        )
    if result.reasons_unmatched:
        typer.echo(f"{result.reasons_unmatched:,} reasons belong to no period's end", err=True)
