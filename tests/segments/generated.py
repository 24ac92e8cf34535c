"""Hypothesis strategies: rule books, and accounts that their rules can tell apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from segments.features import FEATURES
from segments.predicate import OPERATORS
from segments.rule import Program, Rule
from segments.source import RuleBook

DAY = date(2026, 3, 5)
TEXTS = {
    "market": ["SE", "DE", "US"],
    "locale": ["sv-SE", "de-DE", "en-US"],
    "birth_year_band": ["1970-1984", "2000-2010"],
    "plan_kind": ["individual", "duo", "family"],
    "billing_interval": ["day", "week", "month", "year"],
    "last_end_reason": ["voluntary", "involuntary", "it's over"],
}
NEVER_NULL = {"market", "locale", "tenure_days", "created_date"}
MODELS = ("churn_risk", "propensity")
OFFERS = ("offer-a", "offer-b", "offer-c")
ENTRIES = (*OFFERS, "entry-deep")

numbers = st.integers(0, 12)
dates = st.integers(-6, 6).map(lambda days: DAY + timedelta(days=days))


def value(feature: str) -> st.SearchStrategy[Any]:
    """A value that the feature may have, from so few that comparisons meet them."""
    kind = FEATURES[feature]
    if kind == "text":
        return st.sampled_from(TEXTS[feature])
    return {"number": numbers, "date": dates, "flag": st.booleans()}[kind]


def operand(feature: str) -> st.SearchStrategy[Any]:
    """What a rule compares the feature with."""
    if FEATURES[feature] != "date":
        return value(feature)
    relative = st.integers(-6, 6).map(lambda n: f"day {'-' if n < 0 else '+'} {abs(n)}" if n else "day")
    return dates | relative


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    feature = draw(st.sampled_from(sorted(FEATURES)))
    operator = draw(st.sampled_from(OPERATORS[FEATURES[feature]]))
    if operator == "is_null":
        return {"feature": feature, operator: draw(st.booleans())}
    if operator in ("in", "not_in"):
        return {"feature": feature, operator: draw(st.lists(operand(feature), min_size=1, max_size=3))}
    if operator == "between":
        return {"feature": feature, operator: [draw(operand(feature)), draw(operand(feature))]}
    return {"feature": feature, operator: draw(operand(feature))}


predicates = st.recursive(
    comparisons(),
    lambda inner: (
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=5,
)
ramps = st.tuples(
    st.sampled_from([name for name, kind in FEATURES.items() if kind == "number"]),
    st.sampled_from([(0, 7), (12, 0), (3, 5)]),
)


@st.composite
def scores(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(ramps, min_size=1, max_size=2))
    weights = [100] if len(chosen) == 1 else [37, 63]
    score: dict[str, Any] = {
        "heuristic": [
            {"feature": name, "start": start, "end": end, "weight": weight}
            for (name, (start, end)), weight in zip(chosen, weights, strict=True)
        ],
        "threshold": draw(st.sampled_from(["0", "0.25", "0.5001"])),
    }
    if draw(st.booleans()):
        score["model"] = {
            "name": draw(st.sampled_from(MODELS)),
            "max_age_days": draw(st.integers(1, 4)),
            "missing": draw(st.sampled_from(["heuristic", "exclude"])),
            "threshold": draw(st.sampled_from([None, "0", "0.3", "0.75"])),
        }
    return score


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def rules(draw: st.DrawFn, number: int) -> Rule:
    """A rule that many accounts pass: most of its steps are left out."""
    experiment = {
        "id": f"exp-{number}",
        "salt": f"salt-{number}",
        "variants": [
            {"name": "control", "percent": "33.33", "is_control": True},
            {"name": "treatment", "percent": "66.67", "content": draw(_optional(st.just("entry-deep")))},
        ],
    }
    mostly_all = st.just({"not": {"feature": "market", "is_null": True}})
    return Rule.model_validate(
        {
            "id": f"rule_{number:03d}",
            "version": number + 1,
            "owner": "tests",
            "status": "active",
            "description": "generated",
            "offer_id": draw(st.sampled_from(OFFERS)),
            "reason_code": f"REASON_{number}",
            "priority": draw(st.integers(1, 3)),
            "exclusivity_group": draw(_optional(st.sampled_from(["one", "two"]))),
            "consent": draw(st.sampled_from(["marketing", "personalisation", "none"])),
            "entitlement": draw(st.sampled_from(["any", "any", "entitled", "not_entitled"])),
            "eligibility": {
                "markets": draw(st.sampled_from([None, None, None, [], ["SE", "DE"]])),
                "past_trial": draw(st.sampled_from(["any", "any", "any", "never", "required"])),
                "tenure_days": {"at_least": draw(st.sampled_from([None, None, 4]))},
            },
            "audience": draw(predicates | mostly_all),
            "score": draw(scores()),
            "experiment": draw(_optional(st.just(experiment))),
            "holdout": {
                "respects_global": draw(st.booleans()),
                "local_percent": draw(st.sampled_from(["0", "20", "12.5"])),
            },
            "frequency": draw(
                _optional(st.just({"max_impressions": 4, "within_days": draw(st.sampled_from([7, 28]))}))
            ),
            "cool_down": draw(
                _optional(
                    st.fixed_dictionaries(
                        {
                            "after": st.sampled_from(["shown", "clicked", "converted"]),
                            "days": st.integers(1, 6),
                        }
                    )
                )
            ),
            "cap": draw(st.sampled_from([None, None, 3])),
            "content": {
                "entry": draw(st.sampled_from(ENTRIES)),
                "min_version": draw(st.integers(1, 2)),
                "fallback_locale": "en-US",
            },
            "validity": {
                "from_date": draw(st.sampled_from([None, None, DAY, DAY + timedelta(days=2)])),
                "to_date": draw(st.sampled_from([None, None, DAY + timedelta(days=2), DAY])),
            },
        }
    )


@st.composite
def books(draw: st.DrawFn, count: int) -> RuleBook:
    """``count`` rules under one program."""
    program = Program.model_validate(
        {
            "version": 1,
            "global_holdout": {"percent": draw(st.sampled_from(["0", "15"])), "salt": "program"},
            "max_offers_per_account": draw(st.integers(1, 3)),
            "legal_blocked_markets": draw(st.sampled_from([[], ["US"]])),
            "traced_percent": 50,
        }
    )
    return RuleBook(tuple(draw(rules(number)) for number in range(count)), program)


def accounts(random: Random, count: int) -> list[dict[str, Any]]:
    """Rows of fct_account_features. From a seed: so many draws would be too much for one example."""
    return [_account(random, number) for number in range(count)]


def _account(random: Random, number: int) -> dict[str, Any]:
    def rarely() -> bool:
        return random.random() < 0.06

    def some_day() -> date | None:
        return DAY + timedelta(days=random.randint(-6, 6)) if random.random() < 0.8 else None

    def feature(name: str) -> Any:
        kind = FEATURES[name]
        if kind == "flag":
            return random.random() < 0.5
        if name not in NEVER_NULL and random.random() < 0.15:
            return None
        if kind == "text":
            return random.choice(TEXTS[name])
        return random.randint(0, 12) if kind == "number" else DAY + timedelta(days=random.randint(-6, 6))

    return {name: feature(name) for name in FEATURES} | {
        "feature_date": DAY,
        "account_id": f"a{number}-{random.randrange(100)}",
        "is_test_account": rarely(),
        "is_deletion_requested": rarely(),
        "is_marketing_withdrawn": rarely(),
        "is_personalisation_withdrawn": rarely(),
        "offer_exposures": [
            {
                "offer_id": offer,
                "impressions_7d": random.randint(0, 6),
                "impressions_28d": random.randint(3, 6),
                "last_shown_date": DAY - timedelta(days=random.randint(0, 6)),
                "last_clicked_date": some_day(),
                "last_converted_date": some_day(),
            }
            for offer in random.sample(OFFERS, random.randint(0, 2))
        ],
        "model_scores": [
            {
                "model": model,
                "score_points": random.choice([0, 2500, 5001, 10_000]),
                "scored_date": DAY - timedelta(days=random.randint(0, 5)),
            }
            for model in random.sample(MODELS, random.randint(0, 2))
        ],
    }


@st.composite
def contents(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Entries of the content system, some with a flaw, some missing in a language."""
    noon = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
    times = _optional(st.integers(-3, 4).map(lambda days: noon + timedelta(days=days)))
    return [
        {
            "feature_date": DAY,
            "entry_id": entry,
            "locale": locale,
            "content_version": draw(st.integers(1, 2)),
            "is_published": draw(st.sampled_from([True, True, True, False])),
            "valid_from_at": draw(times),
            "valid_until_at": draw(times),
        }
        for entry in ENTRIES
        for locale in TEXTS["locale"]
        if draw(st.integers(0, 3))
    ]
