"""What became of every rule for one account, in lines for a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.plan_report import wrapped
from segments.features import FEATURES

if TYPE_CHECKING:
    from runs.score_reasons import ScoreReasons
    from scoring.contributions import Contribution
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


def score_lines(found: Iterable[ScoreReasons], width: int) -> Iterator[str]:
    """A line for each score, below it what it is made of, in log odds."""
    for each in found:
        by = f"{each.model} v{each.version}" if each.version is not None else each.model
        yield from wrapped(f"{by}: score {each.score:.4f} of {each.scored_date}", width, "")
        if each.reasons is None:
            yield from wrapped(each.why_not or "", width, "    ")
            continue
        reasons = each.reasons
        yield f"    {reasons.base:+.3f} where every account starts, in log odds"
        for part in reasons.top:
            yield from wrapped(f"{part.contribution:+.3f} {part.feature} = {_value(part)}", width, "    ")
        yield f"    {reasons.rest:+.3f} all other features"
        yield f"    {reasons.raw_score:+.3f} raw score"


def _value(part: Contribution) -> str:
    """As an operator knows the column, not as a model does."""
    kind = FEATURES.get(part.feature)
    if part.value is None:
        return "no value"
    if kind == "flag":
        return "true" if part.value else "false"
    if isinstance(part.value, float):
        return f"{part.value:g}" + (" days before" if kind == "date" else "")
    return str(part.value)
