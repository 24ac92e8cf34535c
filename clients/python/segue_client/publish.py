"""Gives the proto, and what lies beside it, to those who write clients in other languages."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from segue_client.version import __version__


def copy_proto(folder: Path) -> list[Path]:
    """Writes the proto files under ``folder`` by the paths that they are imported by; returns where they are.

    The first line of a proto says which version of Segue it is of. What lies beside it, such as how to
    retry, is written too. What is there already is replaced.

    Raises:
        OSError: a file cannot be written.
    """
    written = []
    for path, source in sorted(_files(files("segue_client") / "proto", Path())):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        version = f"// Segue {__version__}\n" if path.suffix == ".proto" else ""
        target.write_text(version + source.read_text(encoding="utf-8"), encoding="utf-8")
        written.append(target)
    return written


def _files(folder: Traversable, within: Path) -> Iterator[tuple[Path, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files(each, within / each.name)
        else:
            yield within / each.name, each
