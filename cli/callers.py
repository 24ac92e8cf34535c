"""``segue callers``: who may call the lookup service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.service.callers import CallerEntry

app = typer.Typer(no_args_is_help=True, help="Who may call the lookup service, and how often.")

File = Annotated[
    Path | None,
    typer.Option("--file", help="Callers file; SEGUE_SERVICE_CALLERS_FILE by default.", show_default=False),
]
Name = Annotated[str, typer.Argument(help="Name of the caller, as metrics and logs show it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    name: Name,
    lookups_per_second: Annotated[float, typer.Option(min=0.001, help="Accounts, on average.")] = 100,
    burst: Annotated[
        float | None, typer.Option(min=1, help="Accounts at once; a second's worth by default.")
    ] = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Admit NAME and print its token, which is kept nowhere. A running service follows within a second."""
    from serving.service.callers import CallerEntry, hash_token, new_token

    with _edited(file) as (path, entries):
        if any(entry.name == name for entry in entries):
            raise typer.BadParameter(f"{name} is in {path} already; remove it first")
        token = new_token()
        entries.append(
            CallerEntry(
                name=name, token_sha256=hash_token(token), lookups_per_second=lookups_per_second, burst=burst
            )
        )
    print(json.dumps({"name": name, "token": token}) if as_json else token)


@app.command()
def remove(name: Name, file: File = None) -> None:
    """Turn NAME away from now on."""
    with _edited(file) as (path, entries):
        kept = [entry for entry in entries if entry.name != name]
        if len(kept) == len(entries):
            typer.echo(f"{path} has no caller {name}", err=True)
            raise typer.Exit(1)
        entries[:] = kept


@app.command("list")
def list_(file: File = None, as_json: AsJson = False) -> None:
    """Everybody who may call, with limits."""
    from serving.service.callers import read_callers

    entries = read_callers(_path(file))
    if as_json:
        print(json.dumps([entry.model_dump(exclude={"token_sha256"}) for entry in entries], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("caller", "lookups a second", "burst")
    for entry in entries:
        table.add_row(
            entry.name, f"{entry.lookups_per_second:g}", f"{entry.burst or entry.lookups_per_second:g}"
        )
    Console().print(table)


def _path(file: Path | None) -> Path:
    from segue.settings import get_settings

    path = file or get_settings().service_callers_file
    if path is None:
        raise typer.BadParameter("no callers file: give --file or set SEGUE_SERVICE_CALLERS_FILE")
    return path


@contextmanager
def _edited(file: Path | None) -> Iterator[tuple[Path, list[CallerEntry]]]:
    from pydantic import ValidationError

    from serving.service.callers import CallersFileError, read_callers, write_callers

    path = _path(file)
    entries = read_callers(path) if path.exists() else []
    try:
        yield path, entries
    except ValidationError as error:
        raise CallersFileError(str(error)) from error
    write_callers(path, entries)
