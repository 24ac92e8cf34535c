"""What a rule says that no account can be, and what its author may not have meant: found without data.

The schema says what can be judged at all (``segments.rule``); this says what is worth judging. An error is
wrong whatever the accounts are; a warning may be meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from segments.features import (
    FEATURES,
    FLAGS_OF_THE_ENTITLED,
    HIGHEST,
    LOWEST,
    OF_THE_ENTITLED,
    OF_THE_LAPSED,
    WORDS,
)
from segments.predicate import Predicate, Value, day_offset, number_bounds, resolved_date
from segments.rule import Program, Rule
from segue.vocabulary import MARKETS
from segue.yaml_document import Location

Severity = Literal["error", "warning"]
Check = Literal[
    "schema",
    "reversed",
    "impossible-value",
    "nobody",
    "experiment",
    "population",
    "threshold",
    "priority-tie",
    "offer-twice",
    "not-now",
]
_MEANT: Final = {"UK": "GB", "EL": "GR"}
"""Codes that people write, and the market that they mean."""


@dataclass(frozen=True)
class Finding:
    """Something at a place of a rule's file, or of the program's."""

    severity: Severity
    check: Check
    location: Location
    message: str


def rule_findings(rule: Rule, today: date) -> Iterator[Finding]:
    """What is wrong with one rule by itself."""
    for location, comparison in _comparisons(rule.audience, ("audience",)):
        yield from _comparison_findings(comparison, location)
    yield from _contradictions(rule.audience, ("audience",))
    yield from _eligibility_findings(rule)
    yield from _entitlement_findings(rule)
    model = rule.score.model
    if model is not None and model.threshold is None and rule.score.threshold_points:
        message = (
            f"{rule.score.threshold} is held against the heuristic and against what {model.name} says, which "
            "are on different scales; allowed: a threshold of the model's own, beside its name"
        )
        yield Finding("warning", "threshold", ("score", "threshold"), message)
    first, last = rule.validity.from_date, rule.validity.to_date
    if first is not None and last is not None and first > last:
        yield _reversed(("validity",), first, last)
    elif rule.status == "active" and last is not None and last < today:
        message = f"ended on {last}: nobody is offered it; set status: paused, or delete the rule"
        yield Finding("warning", "not-now", ("validity", "to_date"), message)


def book_findings(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Finding]]:
    """What rules are to each other that are not paused; each pair is told once, of the later rule."""
    before: list[Rule] = []
    for rule in rules:
        if rule.status == "paused":
            continue
        for other in before:
            if rule.group == other.group and rule.priority == other.priority:
                message = (
                    f"{rule.priority} is the priority of {other.id} too, in the group {rule.group}: "
                    "the score decides between them, then the id"
                )
                yield rule, Finding("warning", "priority-tie", ("priority",), message)
            if rule.offer_id == other.offer_id and rule.group != other.group:
                message = (
                    f"{rule.offer_id} is the offer of {other.id} too: who qualifies for both has it twice; "
                    "allowed: one exclusivity_group for both"
                )
                yield rule, Finding("warning", "offer-twice", ("offer_id",), message)
        before.append(rule)


def program_findings(program: Program) -> Iterator[Finding]:
    """What is wrong with what all rules share."""
    for place, market in enumerate(program.legal_blocked_markets):
        yield from _word_findings("market", market, ("legal_blocked_markets", place))


def comparisons(rule: Rule) -> Iterator[tuple[Location, Predicate]]:
    """The comparisons of a rule's audience, each with the place of its operator."""
    for location, comparison in _comparisons(rule.audience, ("audience",)):
        yield (*location, comparison.operator), comparison


def _comparisons(node: Predicate, location: Location) -> Iterator[tuple[Location, Predicate]]:
    if node.feature is not None:
        yield location, node
    for name, parts in (("all", node.all_), ("any", node.any_)):
        for place, part in enumerate(parts or ()):
            yield from _comparisons(part, (*location, name, place))
    if node.not_ is not None:
        yield from _comparisons(node.not_, (*location, "not"))


def _comparison_findings(comparison: Predicate, location: Location) -> Iterator[Finding]:
    feature, operator, operand = str(comparison.feature), comparison.operator, comparison.operand
    if operator == "is_null":
        return
    at = (*location, operator)
    if operator == "between" and isinstance(operand, list) and _is_reversed(*operand):
        yield _reversed(at, *operand)
        return
    if FEATURES[feature] == "text":
        if isinstance(operand, list):
            for place, value in enumerate(operand):
                yield from _word_findings(feature, str(value), (*at, place))
        else:
            yield from _word_findings(feature, str(operand), at)
    low, high = number_bounds(comparison)
    if FEATURES[feature] == "number" and _is_empty(low, high, feature):
        yield Finding("error", "impossible-value", at, f"no account has that; {_range_of(feature)}")


def _word_findings(feature: str, value: str, location: Location) -> Iterator[Finding]:
    words = WORDS.get(feature)
    if words is None or value in words:
        return
    if words is MARKETS:
        allowed = _MEANT.get(value, "codes of ISO 3166-1 alpha-2, such as SE")
        message = f"{value} is no market; allowed: {allowed}"
    else:
        message = f"no account has {value}; allowed: {', '.join(sorted(words))}"
    yield Finding("error", "impossible-value", location, message)


def _is_reversed(low: Value, high: Value) -> bool:
    """Of dates only where both are relative to the day, or neither is: else it depends on the day."""
    if isinstance(low, int) and isinstance(high, int):
        return low > high
    first, last = day_offset(low), day_offset(high)
    if first is not None and last is not None:
        return first > last
    if first is None and last is None:
        return resolved_date(low, date.min) > resolved_date(high, date.min)
    return False


def _reversed(location: Location, low: object, high: object) -> Finding:
    return Finding("error", "reversed", location, f"{low} is after {high}; allowed: {high} to {low}")


def _is_empty(low: int | None, high: int | None, feature: str) -> bool:
    lowest, highest = LOWEST[feature], HIGHEST.get(feature)
    return (
        (high is not None and high < lowest)
        or (low is not None and highest is not None and low > highest)
        or (low is not None and high is not None and low > high)
    )


def _range_of(feature: str) -> str:
    lowest, highest = LOWEST[feature], HIGHEST.get(feature)
    return f"{feature} is {lowest} or more" if highest is None else f"{feature} is {lowest} to {highest}"


def _contradictions(node: Predicate, location: Location) -> Iterator[Finding]:
    """Comparisons of one ``all`` that no number meets together."""
    together: dict[str, tuple[int | None, int | None]] = {}
    for place, part in enumerate(node.all_ or ()):
        feature, at = str(part.feature), (*location, "all", place)
        if part.feature is None:
            yield from _contradictions(part, at)
        elif FEATURES[feature] == "number" and not _is_empty(*number_bounds(part), feature):
            ours, theirs = number_bounds(part), together.get(feature, (None, None))
            low = max((end for end in (ours[0], theirs[0]) if end is not None), default=None)
            high = min((end for end in (ours[1], theirs[1]) if end is not None), default=None)
            if _is_empty(low, high, feature):
                message = f"nobody: {feature} cannot be that and what stands before it in the same all"
                yield Finding("error", "nobody", (*at, part.operator), message)
            together[feature] = low, high
    for place, part in enumerate(node.any_ or ()):
        yield from _contradictions(part, (*location, "any", place))
    if node.not_ is not None:
        yield from _contradictions(node.not_, (*location, "not"))


def _eligibility_findings(rule: Rule) -> Iterator[Finding]:
    eligibility = rule.eligibility
    for name in ("markets", "plan_kinds", "billing_intervals", "age_bands"):
        if getattr(eligibility, name) == []:
            message = "nobody: the list is empty; leave it out where it does not matter"
            yield Finding("error", "nobody", ("eligibility", name), message)
    for place, market in enumerate(eligibility.markets or ()):
        yield from _word_findings("market", market, ("eligibility", "markets", place))
    low, high = eligibility.tenure_days.at_least, eligibility.tenure_days.at_most
    if low is not None and high is not None and low > high:
        yield _reversed(("eligibility", "tenure_days"), low, high)


def _entitlement_findings(rule: Rule) -> Iterator[Finding]:
    """Nobody has what those of the other entitlement have."""
    if rule.entitlement == "any":
        return
    if rule.entitlement == "not_entitled":
        for name in ("plan_kinds", "billing_intervals"):
            if getattr(rule.eligibility, name):
                message = "nobody: entitlement is not_entitled, and who is not entitled is on no plan"
                yield Finding("error", "nobody", ("eligibility", name), message)
    required = [((*at, part.operator), part) for at, part in _required(rule.audience, ("audience",))]
    for location, part in required:
        feature = str(part.feature)
        absent = OF_THE_ENTITLED if rule.entitlement == "not_entitled" else OF_THE_LAPSED
        if feature in absent and not (part.operator == "is_null" and part.operand):
            message = f"nobody: entitlement is {rule.entitlement}, and then {feature} has no value"
            yield Finding("error", "nobody", location, message)
        if feature in FLAGS_OF_THE_ENTITLED and part.operator == "equals":
            is_absent = rule.entitlement == "not_entitled" and part.operand is True
            if is_absent or (feature == "is_entitled" and part.operand is (rule.entitlement != "entitled")):
                message = f"nobody: entitlement is {rule.entitlement}"
                yield Finding("error", "nobody", location, message)


def _required(node: Predicate, location: Location) -> Iterator[tuple[Location, Predicate]]:
    """Comparisons that everybody in the audience meets."""
    if node.feature is not None:
        yield location, node
    for place, part in enumerate(node.all_ or ()):
        yield from _required(part, (*location, "all", place))
