"""Which code this is, told by itself: a release has its version for longer than its code stays the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from segue.git import git
from segue.shipped import CHECKOUT_DIR, DBT_PROJECT_DIR, ROOMS_DIR

_ROOMS: Final = ("segue", "segments", "scoring", "loaders", "runs")
"""All that a training goes through, beside dbt's models."""
_OF_DBT: Final = ("models", "macros", "seeds")


@lru_cache(maxsize=1)
def source_version() -> str:
    """git's commit, of a checkout whose code is what was committed; else ``sha256:`` and the code's digest.

    A wheel and a checkout of the same code have the same digest.
    """
    return commit_of(CHECKOUT_DIR) or digest_of(ROOMS_DIR, DBT_PROJECT_DIR)


def commit_of(checkout: Path | None) -> str | None:
    """The commit of a checkout whose code is what was committed; None of any other folder."""
    if checkout is None:
        # Whatever repository an environment may lie in, it is not ours.
        return None
    folders = [*_ROOMS, *(f"dbt/{each}" for each in _OF_DBT)]
    changed = git(checkout, "status", "--porcelain", "--untracked-files=all", "--", *folders)
    commit = git(checkout, "rev-parse", "HEAD")
    return commit.strip() if commit and changed == "" else None


def digest_of(rooms: Path, dbt: Path) -> str:
    """Of the code below two folders, that of the Python packages and dbt's project."""
    whole = hashlib.sha256()
    for name, path in sorted(_files(rooms, dbt)):
        whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _files(rooms: Path, dbt: Path) -> Iterator[tuple[str, Path]]:
    """The code's files under names that are the same wherever they lie."""
    for room in _ROOMS:
        for path in (rooms / room).rglob("*.py"):
            yield path.relative_to(rooms).as_posix(), path
    for folder in _OF_DBT:
        for path in (dbt / folder).rglob("*.*"):
            if path.suffix in (".sql", ".csv"):
                yield f"dbt/{path.relative_to(dbt).as_posix()}", path
