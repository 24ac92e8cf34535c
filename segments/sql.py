"""GoogleSQL of one rule: its predicates, score points and failed steps over a row of features.

The text holds no value that a rule file could break out with: names come from closed lists, texts are quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from segments.features import FEATURES
from segments.predicate import Predicate, Value, day_offset, resolved_date
from segments.rule import (
    BASIS_POINTS,
    SERVED_DAYS,
    SERVED_PERIOD_DAYS,
    SERVING_SALT,
    Eligibility,
    Program,
    Ramp,
    Rule,
)
from segments.steps import POINTS, POINTS_BITS, Reason, bit

_COMPARISONS: Final = {
    "equals": "=", "not_equals": "!=", "less_than": "<", "at_most": "<=", "more_than": ">", "at_least": ">=",
}  # fmt: skip
_DAY: Final = "feature_date"


def text(value: str) -> str:
    """A quoted string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def bucket(salt: str) -> str:
    """The account's bucket of ``BASIS_POINTS`` under a salt, an SQL expression itself."""
    digest = f"substr(to_hex(sha256(concat(account_id, ':', {salt}))), 1, 12)"
    return f"mod(cast(concat('0x', {digest}) as int64), {BASIS_POINTS})"


def served_until() -> str:
    """When a decision of ``feature_date`` stops being served if no later one comes, a timestamp."""
    period = SERVED_PERIOD_DAYS
    weekday = f"mod(unix_date(feature_date) + {SERVED_DAYS}, {period})"
    phase = f"mod({bucket(text(SERVING_SALT))} + {period} - {weekday}, {period})"
    return f"timestamp(date_add(feature_date, interval {SERVED_DAYS} + {phase} day))"


def predicate(node: Predicate) -> str:
    """A condition that is never null."""
    if node.all_ is not None:
        return "(" + " and ".join(predicate(part) for part in node.all_) + ")"
    if node.any_ is not None:
        return "(" + " or ".join(predicate(part) for part in node.any_) + ")"
    if node.not_ is not None:
        return f"not {predicate(node.not_)}"
    feature = str(node.feature)
    operand = node.operand
    if node.operator == "is_null":
        return f"({feature} is null)" if operand else f"({feature} is not null)"
    return f"coalesce({_comparison(feature, node.operator, operand)}, false)"


def _comparison(feature: str, operator: str, operand: Value | list[Value]) -> str:
    kind = FEATURES[feature]
    if isinstance(operand, list):
        values = [_literal(value, kind) for value in operand]
        if operator == "between":
            return f"{feature} between {values[0]} and {values[1]}"
        return f"{feature} {'not in' if operator == 'not_in' else 'in'} ({', '.join(values)})"
    if kind == "flag":
        return feature if operand else f"not {feature}"
    return f"{feature} {_COMPARISONS[operator]} {_literal(operand, kind)}"


def _literal(value: Value, kind: str) -> str:
    match kind:
        case "number":
            return str(int(value))  # type: ignore[arg-type]
        case "date":
            offset = day_offset(value)
            if offset is None:
                return f"date '{resolved_date(value, date.min)}'"
            if offset == 0:
                return _DAY
            return f"date_{'add' if offset > 0 else 'sub'}({_DAY}, interval {abs(offset)} day)"
    return text(str(value))


def model_column(name: str) -> str:
    """Column of the newest points that a model gave the account."""
    return f"points_of_{name}"


def model_date_column(name: str) -> str:
    """Column of the day on which the model gave them."""
    return f"scored_date_of_{name}"


def heuristic_points(ramps: Sequence[Ramp]) -> str:
    """Ten-thousandths, in whole numbers all the way."""
    parts = []
    for ramp in ramps:
        way, length = f"{ramp.feature} - {ramp.start}", ramp.end - ramp.start
        if length < 0:
            way, length = f"{ramp.start} - {ramp.feature}", -length
        # Negative ways are cut off before they are divided: engines differ in how they round those.
        share = f"least({POINTS}, div({POINTS} * greatest(0, {way}), {length}))"
        parts.append(f"{ramp.weight} * coalesce({share}, 0)")
    # In a dialect that writes div() as an operator, the sum would come apart without its own parentheses.
    return f"div(({' + '.join(parts)}), 100)"


def _fresh_model(rule: Rule) -> str | None:
    model = rule.score.model
    if model is None:
        return None
    scored = model_date_column(model.name)
    return f"coalesce({scored} > date_sub({_DAY}, interval {model.max_age_days} day), false)"


def points(rule: Rule) -> str:
    """The rule's score of the account in ten-thousandths."""
    fresh, heuristic = _fresh_model(rule), heuristic_points(rule.score.heuristic)
    if fresh is None or rule.score.model is None:
        return heuristic
    missing = heuristic if rule.score.model.missing == "heuristic" else "0"
    return f"if({fresh}, {model_column(rule.score.model.name)}, {missing})"


def _bounds(column: str, low: int | None, high: int | None) -> list[str]:
    parts = [f"{column} >= {low}"] if low is not None else []
    return parts + ([f"{column} <= {high}"] if high is not None else [])


def eligible(eligibility: Eligibility) -> str:
    """Whether the account may have the offer at all; never null."""
    parts = []
    for column, values in (
        ("market", eligibility.markets),
        ("plan_kind", eligibility.plan_kinds),
        ("billing_interval", eligibility.billing_intervals),
        ("birth_year_band", eligibility.age_bands),
    ):
        if values is not None:
            listed = ", ".join(text(value) for value in values)
            parts.append(f"{column} in ({listed})" if values else "false")
    if eligibility.past_trial != "any":
        parts.append("has_ever_trialled" if eligibility.past_trial == "required" else "not has_ever_trialled")
    tenure = eligibility.tenure_days
    parts += _bounds("tenure_days", tenure.at_least, tenure.at_most)
    return f"coalesce({' and '.join(parts)}, false)" if parts else "true"


def valid(rule: Rule) -> str:
    """Whether the offer may be shown on the day after the judged one."""
    shown, parts = f"date_add({_DAY}, interval 1 day)", []
    if rule.validity.from_date is not None:
        parts.append(f"{shown} >= date '{rule.validity.from_date}'")
    if rule.validity.to_date is not None:
        parts.append(f"{shown} <= date '{rule.validity.to_date}'")
    return " and ".join(parts) or "true"


def account_bits(program: Program) -> str:
    """Failed steps that are the same for every rule."""
    blocked = ", ".join(text(market) for market in program.legal_blocked_markets)
    parts = [f"if(is_deletion_requested, {bit(Reason.DELETION_REQUESTED)}, 0)"]
    if blocked:
        parts.append(f"if(market in ({blocked}), {bit(Reason.LEGAL_BLOCK)}, 0)")
    parts.append(f"if(is_test_account, {bit(Reason.TEST_ACCOUNT)}, 0)")
    return " + ".join(parts)


def outcome(rule: Rule) -> str:
    """One INT64: the score points above the bits of the steps that fail for this rule."""
    fails: list[tuple[Reason, str]] = []
    if rule.consent != "none":
        fails.append((Reason.NO_CONSENT, f"is_{rule.consent}_withdrawn"))
    if rule.entitlement != "any":
        wrong = "not is_entitled" if rule.entitlement == "entitled" else "is_entitled"
        fails.append((Reason.WRONG_ENTITLEMENT, wrong))
    if rule.holdout.respects_global:
        fails.append((Reason.GLOBAL_HOLDOUT, "is_globally_held_out"))
    for reason, holds in (
        (Reason.OUTSIDE_VALIDITY, valid(rule)),
        (Reason.NOT_ELIGIBLE, eligible(rule.eligibility)),
        (Reason.NOT_IN_AUDIENCE, predicate(rule.audience)),
    ):
        if holds != "true":
            fails.append((reason, f"not ({holds})"))
    fresh = _fresh_model(rule)
    if fresh is not None and rule.score.model is not None and rule.score.model.missing == "exclude":
        fails.append((Reason.NO_SCORE, f"not {fresh}"))
    score = points(rule)
    if rule.score.threshold_points:
        fails.append((Reason.SCORE_TOO_LOW, f"{score} < {rule.score.threshold_points}"))
    bits = [f"if({condition}, {bit(reason)}, 0)" for reason, condition in fails]
    return " + ".join([f"{1 << POINTS_BITS} * ({score})", "account_bits", *bits])
