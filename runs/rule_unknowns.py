"""What rules name and a day's data does not know: offers, values that nobody has, models without scores.

Only the data can tell, and it may be on purpose: the offer or market is new. So these are remarks of the
plan, beside the lint of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from loaders.warehouse.client import Warehouse
from segments.features import FEATURES
from segments.lint import comparisons
from segments.rule import Rule
from segments.source import RuleBook
from segue.declarations import dotted
from segue.nearest import nearest
from segue.yaml_document import Location

_TEXTS: Final = tuple(name for name, kind in FEATURES.items() if kind == "text")
_OFFER: Final = "offer"
_MODEL: Final = "model"
_ELIGIBLE: Final = {
    "markets": "market",
    "plan_kinds": "plan_kind",
    "billing_intervals": "billing_interval",
    "age_bands": "birth_year_band",
}
"""Fields of a rule's eligibility, and the feature that each looks at."""


@dataclass(frozen=True)
class Unknown:
    """A value in a rule that nothing else knows."""

    rule_id: str
    field: str
    value: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.field}: {self.message}"


def unknowns(
    warehouse: Warehouse, book: RuleBook, day: date, contents: Iterable[dict[str, Any]]
) -> Iterator[Unknown]:
    """Of the active rules, by what was published of ``day``; ``contents`` are its rows of offer_contents."""
    settings = warehouse.settings
    features = f"`{settings.project_id}.{settings.marts_dataset}.fct_account_features`"

    def names(items: str, kind: str, name: str) -> Iterator[tuple[str, str]]:
        """Of every element that an account's row has of ``items``, an array."""
        for row in warehouse.run(
            f"select distinct {kind} as kind, {name} as name from {features} "
            f"cross join unnest({items}) as item where feature_date = date '{day}' and {name} is not null"
        ):
            yield row.kind, row.name

    texts = ", ".join(f"struct('{name}' as kind, {name} as name)" for name in _TEXTS)
    known: dict[str, set[str]] = {name: set() for name in (*_TEXTS, _OFFER, _MODEL)}
    for kind, name in (
        *names(f"[{texts}]", "item.kind", "item.name"),
        *names("offer_exposures", f"'{_OFFER}'", "item.offer_id"),
        *names("model_scores", f"'{_MODEL}'", "item.model"),
    ):
        known[kind].add(name)
    known[_OFFER] |= {row["entry_id"] for row in contents}
    for rule in book.active:
        yield from _names(rule, known)
        yield from _values(rule, known, day)


def _names(rule: Rule, known: dict[str, set[str]]) -> Iterator[Unknown]:
    if rule.offer_id not in known[_OFFER]:
        message = (
            f"no content entry and no exposure is of {rule.offer_id}{_nearest(rule.offer_id, known['offer'])}"
        )
        yield Unknown(rule.id, "offer_id", rule.offer_id, message)
    model = rule.score.model
    if model is not None and model.name not in known[_MODEL]:
        message = f"no account has a score of {model.name}{_nearest(model.name, known['model'])}"
        yield Unknown(rule.id, "score.model.name", model.name, message)


def _values(rule: Rule, known: dict[str, set[str]], day: date) -> Iterator[Unknown]:
    named: list[tuple[str, Location, Any]] = [
        (feature, ("eligibility", field), getattr(rule.eligibility, field) or [])
        for field, feature in _ELIGIBLE.items()
    ]
    named += [
        (str(comparison.feature), location, comparison.operand)
        for location, comparison in comparisons(rule)
        if comparison.operator != "is_null"
    ]
    for feature, location, operand in named:
        if feature not in _TEXTS:
            continue
        for value in operand if isinstance(operand, list) else [operand]:
            if value not in known[feature]:
                message = f"no account has the {feature} {value} on {day}{_nearest(value, known[feature])}"
                yield Unknown(rule.id, dotted(location), value, message)


def _nearest(value: str, known: Iterable[str]) -> str:
    near = nearest(value, known)
    return f"; {near} is known" if near else ""
