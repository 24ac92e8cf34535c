"""A file as it is on the main branch, as far as the working copy has seen that: asked of git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_MAIN_BRANCHES: Final = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)


def text_at_merge_base(path: Path) -> str | None:
    """What the file said where the work left the main branch; on that branch itself, in its last commit.

    None where git does not know: no git, no repository, a clone without that history, a file of its own.
    """
    branches = _git(path.parent, "for-each-ref", "--format=%(objectname)", *_MAIN_BRANCHES)
    if not branches:
        return None
    # With several, the merge base with all of them together: the newest that any of them shares.
    base = _git(path.parent, "merge-base", "HEAD", *branches.split())
    return _git(path.parent, "show", f"{base.strip()}:./{path.name}") if base else None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
