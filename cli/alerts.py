"""``segue alerts``: incidents that are open, and whether anybody would be told."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(
    name="alerts", no_args_is_help=True, help="Incidents: list them, try the channels, say that one is over."
)


@app.command("list")
def list_(
    is_all: Annotated[
        bool, typer.Option("--all", help="Also those that have been over for a week at most.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Incidents that are open, by day."""
    from loaders.warehouse.client import warehouse_of
    from loaders.warehouse.incidents import IncidentTable
    from segue.settings import get_settings

    table = IncidentTable(warehouse_of(get_settings()))
    table.ensure()
    rows = [
        {
            "incident": each.incident_id,
            "severity": each.incident.severity,
            "what": each.incident.what,
            "since": each.incident.since.isoformat(timespec="minutes"),
            "owner": each.incident.owner,
            "told": sorted(each.told["opened"]),
            "closed": each.closed_at.isoformat(timespec="minutes") if each.closed_at else None,
        }
        for each in table.live()
        if is_all or each.is_open
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        state = f"over {row['closed']}" if row["closed"] else f"since {row['since']}"
        typer.echo(f"{row['incident']}  {state}  {row['what']}")
    if not rows:
        typer.echo("nothing is wrong that anybody has seen")


@app.command()
def test() -> None:
    """Send a test alert by every channel that the settings name; exit code 1 when one did not take it."""
    from runs.incidents import channel_test
    from segue.settings import get_settings

    results = channel_test(get_settings())
    for name, reason in results:
        typer.echo(f"{name}: {reason or 'taken'}")
    if not results:
        typer.echo("no channel is set: alerts are rows of ops.incidents and lines of the log")
    if any(reason for _, reason in results):
        raise typer.Exit(1)


@app.command()
def close(
    incident: Annotated[str, typer.Argument(help="Id of an incident, as `list` shows it.")],
    because: Annotated[str, typer.Option(help="Why it is over; told to whoever was told of it.")],
) -> None:
    """Say that INCIDENT is over, where no recovery can be seen; exit code 1 when it is not open."""
    from runs.incidents import close_by_hand
    from segue.settings import get_settings

    if not close_by_hand(get_settings(), incident, because):
        typer.echo(f"{incident} is not open: `segue alerts list`", err=True)
        raise typer.Exit(1)
    typer.echo(f"{incident} is over")
