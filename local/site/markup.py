"""Markdown that several pages of the reference are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GENERATED = "<!-- generated from the code; change it there -->"


def page(title: str, introduction: str, body: Iterable[str]) -> str:
    """A page: heading, what it is, and its parts with an empty line between them."""
    return "\n\n".join([f"# {title}", GENERATED, introduction, *body]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are put on one line and their bars escaped."""
    lines = [_row(header), _row(["---"] * len(header)), *(_row([cell(each) for each in row]) for row in rows)]
    return "\n".join(lines)


def cell(text: str) -> str:
    """Text that may stand in a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Text as code."""
    return f"`{text}`"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
