"""Keeps rule versions immutable, so that "rule 7 of version 3" says in a year what it says today."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segments.source import RuleBook, RuleFilesError
from segue import version_lock
from segue.version_lock import Digests, Versioned

LOCK_FILE: Final = Path(__file__).parent / "versions.lock"
PROGRAM: Final = "program"


def merged_lock(merged_file: Path | None = None) -> Digests:
    """The digests by (id, version) of what is merged: of ``merged_file``, else as git knows it.

    Raises:
        RuleFilesError: a line is not ``id version digest``.
    """
    if merged_file is not None:
        return version_lock.read_lock(merged_file, RuleFilesError)
    return version_lock.merged_lock(LOCK_FILE, RuleFilesError)


def lock_text(digests: Digests) -> str:
    """The lock file's content."""
    return version_lock.lock_text(
        "written by `segue segments compile`, to which a merge only ever adds", digests
    )


def locked(book: RuleBook, digests: Digests) -> Digests:
    """``digests`` with the versions of ``book`` added.

    Raises:
        RuleFilesError: a locked version was changed, or a version is lower than the newest locked one.
    """
    items = [Versioned(f"segments/rules/{rule.id}.yml", rule.id, rule.version, rule) for rule in book.rules]
    items.append(Versioned("segments/program.yml", PROGRAM, book.program.version, book.program))
    return version_lock.locked(items, digests, RuleFilesError)
