"""What became of every rule for one account, in lines for a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.plan_report import wrapped

if TYPE_CHECKING:
    from segments.explain import Explanation


def lines(
    title: str, explanations: Sequence[Explanation], published: Mapping[str, str], width: int
) -> Iterator[str]:
    """A line for each rule with its outcome, below it the values behind that; ids are never cut.

    ``published``: reason codes by rule; where one differs, it is told.
    """
    yield title
    for each in explanations:
        was = published.get(each.rule.id)
        differing = "" if was == each.reason else f"; published: {was or 'no such rule'}"
        outcome = (
            f"{each.rule.id} v{each.rule.version} ({each.rule.offer_id}): {each.reason.value}{differing}"
        )
        yield from wrapped(outcome, width, "")
        for value in each.values:
            yield from wrapped(value, width, "    ")
