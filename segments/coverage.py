"""Whether those that a rule is for can be, or all are, among those that a predicate holds for; without data.

Only what every account of the rule has is looked at: its entitlement, its eligibility, and the comparisons
that stand in its audience by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from segments.features import FEATURES, FLAGS_OF_THE_ENTITLED
from segments.predicate import Predicate, number_bounds
from segments.rule import Rule

Coverage = Literal["all", "some", "none"]


@dataclass(frozen=True)
class _Range:
    """What a feature can be: numbers within two ends, or words; None: no end, any word."""

    low: int | None = None
    high: int | None = None
    words: frozenset[str] | None = None

    def both(self, other: _Range) -> _Range:
        lows = [end for end in (self.low, other.low) if end is not None]
        highs = [end for end in (self.high, other.high) if end is not None]
        words = other.words if self.words is None else self.words
        if self.words is not None and other.words is not None:
            words = self.words & other.words
        return _Range(max(lows, default=None), min(highs, default=None), words)

    @property
    def is_empty(self) -> bool:
        return self.words == frozenset() or (
            self.low is not None and self.high is not None and self.low > self.high
        )


def uncovered(rule: Rule, population: Predicate) -> tuple[Coverage, Predicate | None]:
    """How many of the rule's accounts ``population`` can hold for, and a condition of it that decides that.

    ``none``: no account of the rule meets the condition. ``some``: nothing in the rule says that all do.
    """
    known: dict[str, _Range] = {}
    for feature, found in _ranges_of(rule):
        known[feature] = known.get(feature, _Range()).both(found)
    undecided = None
    for condition in population.conditions:
        had, wanted = known.get(str(condition.feature)), _range_of(condition)
        left = had.both(wanted) if had is not None and wanted is not None else None
        if left is not None and left.is_empty:
            return "none", condition
        is_within = left is not None and left == had and not _has_gaps(condition)
        is_met = condition in rule.audience.conditions or is_within
        if not is_met and undecided is None:
            undecided = condition
    return ("all", None) if undecided is None else ("some", undecided)


def _ranges_of(rule: Rule) -> Iterator[tuple[str, _Range]]:
    for condition in rule.audience.conditions:
        found = _range_of(condition)
        if found is not None:
            yield str(condition.feature), found
    if rule.entitlement != "any":
        yield "is_entitled", _flag(rule.entitlement == "entitled")
    if rule.entitlement == "not_entitled":
        yield from ((name, _flag(False)) for name in sorted(FLAGS_OF_THE_ENTITLED))
    eligibility = rule.eligibility
    if eligibility.past_trial != "any":
        yield "has_ever_trialled", _flag(eligibility.past_trial == "required")
    yield "tenure_days", _Range(eligibility.tenure_days.at_least or 0, eligibility.tenure_days.at_most)
    listed = (
        ("market", eligibility.markets), ("plan_kind", eligibility.plan_kinds),
        ("billing_interval", eligibility.billing_intervals), ("birth_year_band", eligibility.age_bands),
    )  # fmt: skip
    yield from ((name, _Range(words=frozenset(words))) for name, words in listed if words is not None)


def _has_gaps(condition: Predicate) -> bool:
    """Whether numbers between the ends of its range are none of those that it asks for."""
    is_of_numbers = condition.feature is not None and FEATURES[condition.feature] == "number"
    return is_of_numbers and condition.operator == "in"


def _flag(value: bool) -> _Range:
    return _Range(words=frozenset({str(value).lower()}))


def _range_of(condition: Predicate) -> _Range | None:
    """What a comparison leaves of its feature; None: it is none, or leaves no range."""
    if condition.feature is None or condition.operator in ("is_null", "not_equals", "not_in"):
        return None
    operand = condition.operand
    match FEATURES[condition.feature]:
        case "flag":
            return _flag(bool(operand))
        case "text":
            words = operand if isinstance(operand, list) else [operand]
            return _Range(words=frozenset(str(word) for word in words))
        case "number":
            return _Range(*number_bounds(condition))
    return None
