"""``segue local``: the embedded platform on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from local.platform import ServiceStatus

app = typer.Typer(
    no_args_is_help=True, help="The embedded platform: emulators, lookup service, PostgreSQL, Airflow."
)

StateDir = Annotated[
    Path | None, typer.Option(help="State folder; SEGUE_STATE_DIR or .segue by default.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--service", help="Only this service; may be repeated.", show_default=False),
]


@app.command()
def up(state_dir: StateDir = None, service: Only = None, as_json: AsJson = False) -> None:
    """Start everything that is not healthy, and wait until it is.

    Exit code: 0 everything is up, 1 something could not be started, 2 wrong usage.
    """
    from rich.console import Console

    from local import platform

    console = Console(stderr=True)
    folder = _folder(state_dir)
    started = platform.up(folder, _services(service), lambda line: console.print(line, highlight=False))
    addresses = {
        "state_dir": str(started.state_dir),
        "env_file": str(started.env_file),
        "airflow_url": started.airflow_url,
        "bigquery_endpoint": started.bigquery_endpoint,
        "bigquery_storage_endpoint": started.bigquery_storage_endpoint,
        "bigtable_emulator_host": started.bigtable_emulator_host,
        "service_address": started.service_address,
    }
    if as_json:
        print(json.dumps(addresses))
    else:
        for name, address in addresses.items():
            print(f"{name:<26} {address}")


@app.command()
def down(state_dir: StateDir = None, as_json: AsJson = False) -> None:
    """Stop everything that was started; data stays.

    Exit code: 0 nothing is running any more, 1 another start or stop does not end.
    """
    from rich.console import Console

    from local import platform

    console = Console(stderr=True)
    stopped = platform.down(_folder(state_dir), lambda line: console.print(line, highlight=False))
    if as_json:
        print(json.dumps({"stopped": stopped}))
    elif not stopped:
        print("nothing was running")


@app.command()
def status(state_dir: StateDir = None, service: Only = None, as_json: AsJson = False) -> None:
    """Show every service.

    Exit code: 0 all are healthy, 1 at least one is not, 2 wrong usage.
    """
    from local import platform

    services = platform.status(_folder(state_dir), _services(service))
    if as_json:
        print(json.dumps([_to_dict(each) for each in services]))
    else:
        _print_table(services)
    if any(each.state != "healthy" for each in services):
        raise typer.Exit(1)


def _folder(state_dir: Path | None) -> Path:
    from segue.settings import get_settings

    return (state_dir or get_settings().state_dir).expanduser().resolve()


def _services(names: list[str] | None) -> list[str] | None:
    from local.platform import SERVICES

    if names and (unknown := set(names) - set(SERVICES)):
        raise typer.BadParameter(f"unknown {', '.join(sorted(unknown))}; there are {', '.join(SERVICES)}")
    return names or None


def _to_dict(service: ServiceStatus) -> dict[str, object]:
    return {
        "name": service.name,
        "state": service.state,
        "pid": service.pid,
        "address": service.address,
        "detail": service.detail,
        "log": str(service.log),
    }


def _print_table(services: list[ServiceStatus]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {"healthy": "green", "unhealthy": "red", "stopped": "dim"}
    table = Table(box=None)
    for column in ("service", "state", "pid", "address", "detail"):
        table.add_column(column, overflow="fold")
    for each in services:
        colour = colours[each.state]
        table.add_row(
            each.name,
            f"[{colour}]{each.state}[/{colour}]",
            str(each.pid or ""),
            each.address,
            each.detail,
        )
    Console().print(table)
