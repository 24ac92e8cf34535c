"""A file as it is on the main branch, as far as the working copy has seen that: asked of git."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segue.git import git

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
    branches = git(path.parent, "for-each-ref", "--format=%(objectname)", *_MAIN_BRANCHES)
    if not branches:
        return None
    # With several, the merge base with all of them together: the newest that any of them shares.
    base = git(path.parent, "merge-base", "HEAD", *branches.split())
    return git(path.parent, "show", f"{base.strip()}:./{path.name}") if base else None
