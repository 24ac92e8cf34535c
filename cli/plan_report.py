"""The plan of the rules for whoever reads it: lines for a terminal of any width, Markdown for a review."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from runs.plan_effects import COLUMNS

if TYPE_CHECKING:
    from runs.plan_effects import Plan

_CELLS: Final = (8, *(12 for _ in COLUMNS[1:]))
"""Widths, in which 751,000,000 accounts have room; together 80."""
_INDENT: Final = "    "


def lines(plan: Plan, width: int) -> Iterator[str]:
    """The plan in lines of ``width``: an id is never cut, and what is longer than a line stands alone."""
    yield plan.title
    yield ""
    yield _row(COLUMNS)
    for rule in plan.rules:
        yield rule.rule_id
        yield _row(rule.cells)
        if remarks := rule.remarks:
            yield from wrapped(remarks, width, _INDENT)
    for heading, sentences in plan.sections():
        yield ""
        yield heading
        for sentence in sentences:
            yield from wrapped(sentence, width, "  ")


def markdown(plan: Plan) -> str:
    """The plan as a comment on a pull request, in GitHub's Markdown."""
    names = ("rule", *COLUMNS, "remarks")
    rows = [(f"`{rule.rule_id}`", *rule.cells, rule.remarks) for rule in plan.rules]
    parts = [
        f"### Offer rules on {plan.title}",
        "\n".join(
            f"| {' | '.join(cells)} |"
            for cells in (names, ("---", *("---:" for _ in COLUMNS), "---"), *map(_escaped, rows))
        ),
    ]
    for heading, sentences in plan.sections():
        parts.append(f"**{heading}**")
        parts.append("\n".join(f"- {_literal(sentence)}" for sentence in sentences))
    return "\n\n".join(parts) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "".join(cell.rjust(width) for cell, width in zip(cells, _CELLS, strict=True))


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """The text in lines of ``width``, those after the first further in; no word is ever broken."""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=f"{indent}  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _escaped(cells: Sequence[str]) -> list[str]:
    """A cell of a table ends at a bar, wherever that stands; the first one is code already."""
    first, *others = cells
    return [first, *(_literal(cell) for cell in others)]


def _literal(text: str) -> str:
    """Text in which Markdown sees no emphasis, and a table no end of a cell."""
    return re.sub(r"([\\`*_<>|\[\]~])", r"\\\1", text)
