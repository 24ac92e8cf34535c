"""Files that are made from declarations and kept beside them."""

from __future__ import annotations

from pathlib import Path


def stale(files: dict[Path, str]) -> list[Path]:
    """The files whose content on disk is another one."""
    return [path for path, text in files.items() if not path.exists() or path.read_text() != text]


def write(files: dict[Path, str]) -> list[Path]:
    """Write what is stale, and return it."""
    changed = stale(files)
    for path in changed:
        path.write_text(files[path])
    return changed
