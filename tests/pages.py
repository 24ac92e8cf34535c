"""The commands that the pages show and mention, for the tests that run them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from segue.settings import PROJECT_ROOT

PAGES = [
    PROJECT_ROOT / "README.md",
    PROJECT_ROOT / "CHANGELOG.md",
    *sorted((PROJECT_ROOT / "docs").glob("*.md")),
    *sorted((PROJECT_ROOT / "clients").glob("*/README.md")),
]
_CONSOLE = re.compile(r"^```console\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
_MENTIONED = re.compile(r"`((?:uv run )?segue [a-z][^`\n]*)`")


@cache
def shown(page: Path) -> tuple[str, ...]:
    """Command lines of the page's consoles, those that end in a backslash joined with what follows."""
    text = "\n".join(_CONSOLE.findall(page.read_text())).replace("\\\n", " ")
    return tuple(line.removeprefix("$ ").strip() for line in text.splitlines() if line.startswith("$ "))


@cache
def mentioned(page: Path) -> tuple[str, ...]:
    """What the page's sentences say of ``segue``."""
    return tuple(_MENTIONED.findall(page.read_text()))


def plain(command: str) -> str:
    """Without ``uv run`` and without what the page remarks behind it."""
    return re.sub(r"\s+#\s.*$", "", command).removeprefix("uv run ").strip()


def typed(page: str, command: str, values: Mapping[str, object] | None = None) -> list[str]:
    """What a reader gives to ``segue``, with ``values`` in the place of the page's own.

    The command is what the page says: it fails when the page says it no more. The first word, a command's
    name, is never replaced.
    """
    path = PROJECT_ROOT / page
    said = {plain(each) for each in (*shown(path), *mentioned(path))}
    assert command in said, f"{page} does not say {command}"
    segue, name, *words = shlex.split(command)
    assert segue == "segue", command
    return [name, *(str((values or {}).get(word, word)) for word in words)]
