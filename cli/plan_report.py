"""The plan of the rules for whoever reads it: lines for a terminal of any width, Markdown for a review."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runs.plan_effects import Plan, RulePlan

OVERLAPS_SHOWN: Final = 15
_COLUMNS: Final = ("version", "qualify", "now", "control", "before", "gained", "lost")
_CELLS: Final = (8, *(12 for _ in _COLUMNS[1:]))
"""Widths, in which 751,000,000 accounts have room; together 80."""
_INDENT: Final = "    "


def lines(plan: Plan, width: int) -> Iterator[str]:
    """The plan in lines of ``width``: an id is never cut, and what is longer than a line stands alone."""
    yield _title(plan)
    yield ""
    yield _row(_COLUMNS)
    for rule in plan.rules:
        yield rule.rule_id
        yield _row(_cells(rule))
        if remarks := _remarks(rule):
            yield from wrapped(remarks, width, _INDENT)
    for heading, sentences in _sections(plan):
        yield ""
        yield heading
        for sentence in sentences:
            yield from wrapped(sentence, width, "  ")


def markdown(plan: Plan) -> str:
    """The plan as a comment on a pull request, in GitHub's Markdown."""
    names = ("rule", *_COLUMNS, "remarks")
    rows = [(f"`{rule.rule_id}`", *_cells(rule), _remarks(rule)) for rule in plan.rules]
    parts = [
        f"### Offer rules on {_title(plan)}",
        "\n".join(
            f"| {' | '.join(cells)} |"
            for cells in (names, ("---", *("---:" for _ in _COLUMNS), "---"), *map(_escaped, rows))
        ),
    ]
    for heading, sentences in _sections(plan):
        parts.append(f"**{heading}**")
        parts.append("\n".join(f"- {_literal(sentence)}" for sentence in sentences))
    return "\n\n".join(parts) + "\n"


def _title(plan: Plan) -> str:
    return (
        f"{plan.day}: {plan.with_offers:,} of {plan.accounts:,} accounts with offers, "
        f"{plan.with_offers_before:,} before"
    )


def _sections(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Headings with what stands below them; those that have nothing to say are left out."""
    overlaps = [str(overlap) for overlap in plan.overlaps[:OVERLAPS_SHOWN]]
    if len(plan.overlaps) > OVERLAPS_SHOWN:
        overlaps.append(f"and {len(plan.overlaps) - OVERLAPS_SHOWN:,} pairs more, all in --json")
    sections = (
        ("What accounts get instead", plan.moves),
        ("Places that are taken and shown nothing in, or left", (*plan.takings, *plan.yieldings)),
        ("Who qualifies for two rules", overlaps),
        ("Content that cannot be shown", plan.contents),
        ("What nobody else knows", plan.unknowns),
    )
    for heading, told in sections:
        if told:
            yield heading, [str(each) for each in told]


def _cells(rule: RulePlan) -> tuple[str, ...]:
    was, now = rule.version_before, rule.version
    version = f"{was} → {now or '–'}" if was is not None and was != now else f"{now or '–'}"
    counts = (rule.qualifying, rule.now, rule.control, rule.before, rule.gained, rule.lost)
    return (version, *(f"{count:,}" for count in counts))


def _row(cells: Iterable[str]) -> str:
    return "".join(cell.rjust(width) for cell, width in zip(cells, _CELLS, strict=True))


def _remarks(rule: RulePlan) -> str:
    refusals = (f"{count:,} {reason}" for reason, count in rule.content_refusals.items())
    return "; ".join([*([rule.remark] if rule.remark else []), *refusals])


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
