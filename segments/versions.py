"""Keeps rule versions immutable: a lock file with the digest of every version that ever was.

What a version decides never changes afterwards, so that "rule 7 of version 3" says in a year what it says
today. ``owner``, ``description`` and ``status`` are no part of it: handing a rule over, explaining it better
or pausing it is no other rule.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from segments.rule import Program, Rule
from segments.source import Problem, RuleBook, RuleFilesError

LOCK_FILE: Final = Path(__file__).parent / "versions.lock"
PROGRAM: Final = "program"
_FREE: Final = {"owner", "description", "status"}
_HEADING: Final = "# id version digest; written by `segue segments compile`, only ever added to\n"

Digests = dict[tuple[str, int], str]


def digest(item: Rule | Program) -> str:
    """SHA-256 over what the version decides, whatever the file's layout; 16 hex digits."""
    content = item.model_dump(mode="json", by_alias=True, exclude=_FREE, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def read_lock(path: Path = LOCK_FILE) -> Digests:
    """The digests by (id, version); empty without a file.

    Raises:
        RuleFilesError: a line is not ``id version digest``.
    """
    digests: Digests = {}
    if not path.exists():
        return digests
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 3 or not parts[1].isdigit():
            raise RuleFilesError([Problem(path.name, number, "", "is no `id version digest`")])
        digests[parts[0], int(parts[1])] = parts[2]
    return digests


def lock_text(digests: Digests) -> str:
    """The lock file's content."""
    return _HEADING + "".join(
        f"{name} {version} {value}\n" for (name, version), value in sorted(digests.items())
    )


def locked(book: RuleBook, digests: Digests) -> Digests:
    """``digests`` with the versions of ``book`` added.

    Raises:
        RuleFilesError: a locked version was changed, or a version is lower than the newest locked one.
    """
    problems = []
    result = dict(digests)
    items: list[tuple[str, str, Rule | Program]] = [(f"{rule.id}.yml", rule.id, rule) for rule in book.rules]
    items.append(("program.yml", PROGRAM, book.program))
    for file, name, item in items:
        newest = max((version for known, version in digests if known == name), default=0)
        found = digests.get((name, item.version))
        if found is not None and found != digest(item):
            problems.append(
                Problem(file, 1, "version", f"version {item.version} was changed; allowed: {newest + 1}")
            )
        elif item.version < newest:
            message = f"{item.version} is older than {newest}; allowed: {newest}, {newest + 1}"
            problems.append(Problem(file, 1, "version", message))
        result[name, item.version] = digest(item)
    if problems:
        raise RuleFilesError(problems)
    return result
