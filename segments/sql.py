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
    ModelScore,
    Program,
    Ramp,
    Rule,
)
from segments.steps import (
    CANDIDATE_STEPS,
    FAILED_BITS,
    POINTS,
    POINTS_BITS,
    PREDICATE_STEPS,
    Reason,
    bit,
)

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
    """A condition that is true when the predicate holds, and else false or null."""
    if node.all_ is not None:
        return "(" + " and ".join(predicate(part) for part in node.all_) + ")"
    if node.any_ is not None:
        return "(" + " or ".join(predicate(part) for part in node.any_) + ")"
    if node.not_ is not None:
        return f"not coalesce({predicate(node.not_)}, false)"
    feature = str(node.feature)
    if node.operator == "is_null":
        return f"{feature} is null" if node.operand else f"{feature} is not null"
    return _comparison(feature, node.operator, node.operand)


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


def model_column(model: ModelScore) -> str:
    """Column of the points that the model gave the account lately enough, null without."""
    return f"points_of_{model.name}_{model.max_age_days}d"


def model_points(model: ModelScore) -> str:
    """What ``model_column`` holds."""
    return (
        f"(select max(given.score_points) from unnest(model_scores) as given "
        f"where given.model = {text(model.name)} "
        f"and given.scored_date > date_sub({_DAY}, interval {model.max_age_days} day))"
    )


def heuristic_points(ramps: Sequence[Ramp]) -> str:
    """Ten-thousandths, in whole numbers all the way."""
    if len(ramps) == 1:
        return _share(ramps[0])
    # In a dialect that writes div() as an operator, the sum would come apart without its own parentheses.
    return f"div(({' + '.join(f'{ramp.weight} * {_share(ramp)}' for ramp in ramps)}), 100)"


def _share(ramp: Ramp) -> str:
    """How much of the ramp is done. Nothing negative is divided: engines round that differently."""
    feature, start, end = ramp.feature, ramp.start, ramp.end
    if start < end:
        reached, begun = f"{feature} >= {end}", f"{feature} > {start}"
        way = f"({feature} - {start})" if start else feature
    else:
        reached, begun, way = f"{feature} <= {end}", f"{feature} < {start}", f"({start} - {feature})"
    part = f"div({POINTS} * {way}, {abs(end - start)})"
    return f"case when {reached} then {POINTS} when {begun} then {part} else 0 end"


def points(rule: Rule) -> str:
    """The rule's score of the account in ten-thousandths."""
    model, heuristic = rule.score.model, heuristic_points(rule.score.heuristic)
    if model is None:
        return heuristic
    return f"coalesce({model_column(model)}, {heuristic if model.missing == 'heuristic' else 0})"


def threshold(rule: Rule) -> str:
    """What the rule's score of the account has to reach, by where it comes from."""
    of_heuristic, of_model = rule.score.threshold_points, rule.score.model_threshold_points
    if rule.score.model is None or of_heuristic == of_model:
        return str(of_heuristic)
    return f"if({model_column(rule.score.model)} is null, {of_heuristic}, {of_model})"


def score_column(rule: Rule) -> str:
    """Column of the score of a rule that looks at it twice."""
    return f"score_of_{rule.id}"


def _bounds(column: str, low: int | None, high: int | None) -> list[str]:
    parts = [f"{column} >= {low}"] if low is not None else []
    return parts + ([f"{column} <= {high}"] if high is not None else [])


def eligible(eligibility: Eligibility) -> str:
    """Whether the account may have the offer at all: true, or else false or null."""
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
    return " and ".join(parts) or "true"


def valid(rule: Rule) -> str:
    """Whether the offer may be shown on the day after the judged one."""
    shown, parts = f"date_add({_DAY}, interval 1 day)", []
    if rule.validity.from_date is not None:
        parts.append(f"{shown} >= date '{rule.validity.from_date}'")
    if rule.validity.to_date is not None:
        parts.append(f"{shown} <= date '{rule.validity.to_date}'")
    return " and ".join(parts) or "true"


def barred_bits(program: Program) -> str:
    """Steps that fail for every rule alike."""
    blocked = ", ".join(text(market) for market in program.legal_blocked_markets)
    fails = [(Reason.DELETION_REQUESTED, "is_deletion_requested")]
    if blocked:
        fails.append((Reason.LEGAL_BLOCK, f"market in ({blocked})"))
    return _bits([*fails, (Reason.TEST_ACCOUNT, "is_test_account")])


def common_column(rule: Rule) -> str:
    """Column of the failed steps that the rule shares with all rules of the same kind."""
    held_out = "held_out" if rule.holdout.respects_global else "served_all"
    return f"failed_{rule.consent}_{rule.entitlement}_{held_out}"


def common_bits(rule: Rule) -> str:
    """What ``common_column`` holds."""
    fails: list[tuple[Reason, str]] = []
    if rule.consent != "none":
        fails.append((Reason.NO_CONSENT, f"is_{rule.consent}_withdrawn"))
    if rule.entitlement != "any":
        wrong = "not is_entitled" if rule.entitlement == "entitled" else "is_entitled"
        fails.append((Reason.WRONG_ENTITLEMENT, wrong))
    if rule.holdout.respects_global:
        fails.append((Reason.GLOBAL_HOLDOUT, "is_globally_held_out"))
    return " + ".join(["barred_bits", _bits(fails)] if fails else ["barred_bits"])


def outcome(number: int, rule: Rule) -> str:
    """One INT64 of the steps that fail for this rule, its score and its number."""
    holds = [
        (Reason.OUTSIDE_VALIDITY, valid(rule)),
        (Reason.NOT_ELIGIBLE, eligible(rule.eligibility)),
        (Reason.NOT_IN_AUDIENCE, predicate(rule.audience)),
    ]
    parts = [f"if({condition}, 0, {bit(reason)})" for reason, condition in holds if condition != "true"]
    score, model = points(rule), rule.score.model
    if model is not None and model.missing == "exclude":
        parts.append(_bits([(Reason.NO_SCORE, f"{model_column(model)} is null")]))
    if rule.score.has_threshold:
        score = score_column(rule)
        parts.append(_bits([(Reason.SCORE_TOO_LOW, f"{score} < {threshold(rule)}")]))
    place = number << (FAILED_BITS + POINTS_BITS)
    return " + ".join([f"{place} + {1 << FAILED_BITS} * ({score})", common_column(rule), *parts])


def _bits(fails: Sequence[tuple[Reason, str]]) -> str:
    return " + ".join(f"if({condition}, {bit(reason)}, 0)" for reason, condition in fails)


def failed_bits(outcome: str) -> str:
    """The steps that failed in an outcome; 0 while none has."""
    return f"({outcome} & {(1 << FAILED_BITS) - 1})"


def score_points(outcome: str) -> str:
    """The score in an outcome, ten-thousandths."""
    return f"(({outcome} >> {FAILED_BITS}) & {(1 << POINTS_BITS) - 1})"


def rule_number(outcome: str) -> str:
    """The number of the rule in an outcome."""
    return f"({outcome} >> {FAILED_BITS + POINTS_BITS})"


def first_failed_step(outcome: str) -> str:
    """The reason code of an outcome."""
    cases = " ".join(
        f"when ({outcome} & {bit(step)}) != 0 then {text(step)}"
        for step in Reason
        if step is not Reason.SELECTED
    )
    return f"case {cases} else {text(Reason.SELECTED)} end"


def failed_steps(outcome: str) -> str:
    """All steps that failed before the competition, separated by commas."""
    steps = (*PREDICATE_STEPS, *CANDIDATE_STEPS)
    listed = ", ".join(f"if(({outcome} & {bit(step)}) != 0, {text(step)}, null)" for step in steps)
    return f"coalesce(array_to_string([{listed}], ','), '')"
