"""What every ``compile`` command does with the files that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXIT_STALE = 1
CheckOption = Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is not current.")]

MergedOption = Annotated[
    Path | None,
    typer.Option(
        "--merged",
        metavar="LOCK",
        exists=True,
        dir_okay=False,
        help="versions.lock of the main branch, where git does not know it.",
    ),
]


def make_files(files: dict[Path, str], *, check: bool, command: str) -> None:
    """Write what is stale and say so; with ``check`` only name it, and the command that would make it.

    Raises:
        typer.Exit: with ``check``, always: ``EXIT_STALE`` where something is not current, else 0.
    """
    from segue.declarations import shown_path
    from segue.made_files import stale, write

    if check:
        not_current = stale(files)
        for path in not_current:
            typer.echo(f"{shown_path(path)} is not current: run `{command}`", err=True)
        raise typer.Exit(EXIT_STALE if not_current else 0)
    for path in write(files):
        typer.echo(f"wrote {shown_path(path)}")
