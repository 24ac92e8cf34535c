"""Keeps versions of what is declared immutable: a lock file with the digest of every one that ever was.

What a version says never changes once it is merged, so that "version 3" says in a year what it says today;
until then it may be edited as often as it takes. The fields in ``FREE`` are no part of it: handing something
over, explaining it better or pausing it is no other version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from segue import merge_base
from segue.declarations import DeclarationsError, Problem, shown_path

FREE: Final = {"owner", "description", "status"}

Digests = dict[tuple[str, int], str]


@dataclass(frozen=True)
class Versioned:
    """Something declared in a file, under a name that the lock knows it by."""

    file: str
    name: str
    version: int
    declared: BaseModel

    @property
    def digest(self) -> str:
        """SHA-256 over what the version says, whatever the file's layout; 16 hex digits."""
        content = self.declared.model_dump(mode="json", by_alias=True, exclude=FREE, exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def read_lock(path: Path, refused: type[DeclarationsError] = DeclarationsError) -> Digests:
    """The digests by (name, version); empty without a file.

    Raises:
        DeclarationsError: of the kind ``refused``: a line is not ``id version digest``.
    """
    return _digests(path, path.read_text(), refused) if path.exists() else {}


def merged_lock(path: Path, refused: type[DeclarationsError] = DeclarationsError) -> Digests:
    """The digests of what is merged: those of the lock where the work left the main branch.

    What the file itself has beside them was written while trying. Where git does not know the main branch,
    all that is in the file counts as merged.

    Raises:
        DeclarationsError: of the kind ``refused``: a line is not ``id version digest``.
    """
    merged = merge_base.text_at_merge_base(path)
    return read_lock(path, refused) if merged is None else _digests(path, merged, refused)


def _digests(path: Path, text: str, refused: type[DeclarationsError]) -> Digests:
    digests: Digests = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 3 or not parts[1].isdigit():
            raise refused([Problem(shown_path(path), number, "", "is no `id version digest`")])
        digests[parts[0], int(parts[1])] = parts[2]
    return digests


def lock_text(heading: str, digests: Digests) -> str:
    """The lock file's content."""
    return f"# id version digest; {heading}\n" + "".join(
        f"{name} {version} {value}\n" for (name, version), value in sorted(digests.items())
    )


def locked(
    items: Iterable[Versioned], digests: Digests, refused: type[DeclarationsError] = DeclarationsError
) -> Digests:
    """``digests`` with the versions of ``items`` added.

    Raises:
        DeclarationsError: of the kind ``refused``: a locked version was changed, or a version is lower than
            the newest locked one.
    """
    problems = []
    result = dict(digests)
    for item in items:
        newest = max((version for known, version in digests if known == item.name), default=0)
        found = digests.get((item.name, item.version))
        if found is not None and found != item.digest:
            message = f"version {item.version} was changed; allowed: {newest + 1}"
            problems.append(Problem(item.file, 1, "version", message))
        elif item.version < newest:
            message = f"{item.version} is older than {newest}; allowed: {newest}, {newest + 1}"
            problems.append(Problem(item.file, 1, "version", message))
        result[item.name, item.version] = item.digest
    if problems:
        raise refused(problems)
    return result
