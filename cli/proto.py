"""``segue proto``: the proto of the lookup service, for clients in other languages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def proto(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that it is written under.")],
) -> None:
    """Copy the proto of the lookup service under DIR, by the path that it is imported by."""
    from segue_client.publish import copy_proto

    for path in copy_proto(folder):
        typer.echo(str(path))
