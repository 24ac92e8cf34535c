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
    """git's commit of the code, where a checkout's is what was committed; else ``sha256:`` and its digest.

    A wheel and a checkout of the same code have the same digest.
    """
    return commit_of(CHECKOUT_DIR) or digest_of(ROOMS_DIR, DBT_PROJECT_DIR)


def commit_of(checkout: Path | None) -> str | None:
    """The last commit that changed the code, in a checkout that is as committed; None of any other folder."""
    if checkout is None:
        # Whatever repository an environment may lie in, it is not ours.
        return None
    folders = [*_ROOMS, *(f"dbt/{each}" for each in _OF_DBT)]
    changed = git(checkout, "status", "--porcelain", "--untracked-files=all", "--", *folders)
    # Not the newest: a page that was edited since trains nothing, and would give the same model another name.
    commit = git(checkout, "log", "-1", "--format=%H", "--", *folders)
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
            name = path.relative_to(rooms).as_posix()
            # A wheel has the DAGs there, which train nothing.
            if not name.startswith("segue/shipped/"):
                yield name, path
    for folder in _OF_DBT:
        for path in (dbt / folder).rglob("*.*"):
            if path.suffix in (".sql", ".csv"):
                yield f"dbt/{path.relative_to(dbt).as_posix()}", path
