"""Every rule's outcome for one account, with the values that decided it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from segments.content import Contents, arm_entries, by_entry, text_of
from segments.evaluator import (
    AccountDecisions,
    Decision,
    Row,
    evaluate,
    heuristic_points,
    holds,
    model_points,
)
from segments.predicate import Predicate
from segments.rule import Program, Rule
from segments.source import RuleBook
from segments.steps import CONTENT_STEPS, POINTS, Reason


@dataclass(frozen=True)
class Explanation:
    """One rule: its outcome, and the values behind the step that refused it, or behind its place."""

    rule: Rule
    reason: Reason
    failed: tuple[Reason, ...]
    values: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "rule_id": self.rule.id,
            "rule_version": self.rule.version,
            "offer_id": self.rule.offer_id,
            "reason_code": self.reason.value,
            "failed_steps": [step.value for step in self.failed],
            "values": list(self.values),
        }


def explain(book: RuleBook, row: Row, contents: Sequence[Row]) -> tuple[AccountDecisions, list[Explanation]]:
    """The account's decisions, and the explanation of each rule in the order in which offers compete.

    A rule's cap on accounts is not judged: it depends on all others.
    """
    account, known = evaluate(_uncapped(book), [row], contents)[row["account_id"]], by_entry(contents)
    decisions = sorted(
        account.decisions.values(),
        key=lambda found: (found.reason is not Reason.SELECTED, found.rule.priority, found.rule.id),
    )
    return account, [
        Explanation(
            found.rule,
            found.reason,
            found.failed or (() if found.reason is Reason.SELECTED else (found.reason,)),
            tuple(_values(found, account, book.program, row, known)),
        )
        for found in decisions
    ]


def _uncapped(book: RuleBook) -> RuleBook:
    return RuleBook(tuple(rule.model_copy(update={"cap": None}) for rule in book.rules), book.program)


def _values(
    found: Decision, account: AccountDecisions, program: Program, row: Row, contents: Contents
) -> Iterator[str]:
    rule = found.rule
    match found.reason:
        case Reason.DELETION_REQUESTED:
            yield "is_deletion_requested = true"
        case Reason.LEGAL_BLOCK:
            yield f"market = {row['market']}, blocked: {', '.join(program.legal_blocked_markets)}"
        case Reason.TEST_ACCOUNT:
            yield "is_test_account = true"
        case Reason.NO_CONSENT:
            yield f"is_{rule.consent}_withdrawn = true"
        case Reason.WRONG_ENTITLEMENT:
            yield f"is_entitled = {_shown(row['is_entitled'])}, wanted: {rule.entitlement}"
        case Reason.GLOBAL_HOLDOUT:
            yield f"in the {program.global_holdout.percent}% that get nothing"
        case Reason.OUTSIDE_VALIDITY:
            yield (
                f"would be shown on {row['feature_date'] + timedelta(days=1)}, valid: "
                f"{rule.validity.from_date or 'always'} to {rule.validity.to_date or 'ever'}"
            )
        case Reason.NOT_ELIGIBLE:
            yield from _eligibility(rule, row)
        case Reason.NOT_IN_AUDIENCE:
            yield from deciding(rule.audience, row, wanted=True)
        case Reason.NO_SCORE | Reason.SCORE_TOO_LOW:
            yield f"{_score(rule, row)}, threshold {_threshold(rule, row)}"
        case reason if reason in CONTENT_STEPS:
            yield from _flawed_entries(found, row, contents)
        case Reason.LOCAL_HOLDOUT:
            yield f"in the {rule.holdout.local_percent}% that are held out of this rule"
        case Reason.FREQUENCY_REACHED | Reason.COOLING_DOWN:
            yield from _exposure(rule, row)
        case Reason.LOST_EXCLUSIVITY:
            winner = next(
                other
                for other in account.decisions.values()
                if other.rule.group == rule.group
                and other is not found
                and other.reason is not Reason.LOST_EXCLUSIVITY
                and not other.failed
            )
            yield (
                f"{rule.group}: {winner.rule.id} (priority {winner.rule.priority}, "
                f"score {winner.points / POINTS:.4f}) before priority {rule.priority}, "
                f"score {found.points / POINTS:.4f}"
            )
        case Reason.ACCOUNT_CAP_REACHED:
            yield f"has {program.max_offers_per_account} offers of higher priority"
        case Reason.SELECTED:
            yield f"priority {rule.priority}, {_score(rule, row)}"
            if found.variant is not None and rule.experiment is not None:
                control = " (control: show nothing)" if found.variant.is_control else ""
                yield f"{rule.experiment.id}: {found.variant.name}{control}"
            if found.content is not None:
                shown = found.content
                yield f"{shown['entry_id']} v{shown['content_version']} {shown['locale']}"
        case Reason.RULE_CAP_REACHED:
            yield f"offered to {rule.cap} accounts a day"


def _flawed_entries(found: Decision, row: Row, contents: Contents) -> Iterator[str]:
    """Entries that cannot be shown to the account; each arm's may have a flaw of its own."""
    rule = found.rule
    for entry in arm_entries(rule):
        flaw = text_of(entry, rule, row["locale"], row["feature_date"], contents).flaw
        if flaw is not None:
            differing = "" if flaw is found.reason else f": {flaw.value}"
            yield f"{entry} in {row['locale']} or {rule.content.fallback_locale}{differing}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "no value" if value is None else str(value)


def _eligibility(rule: Rule, row: Row) -> Iterator[str]:
    for name, allowed in (
        ("market", rule.eligibility.markets),
        ("plan_kind", rule.eligibility.plan_kinds),
        ("billing_interval", rule.eligibility.billing_intervals),
        ("birth_year_band", rule.eligibility.age_bands),
    ):
        if allowed is not None and row[name] not in allowed:
            yield f"{name} = {_shown(row[name])}, allowed: {', '.join(allowed)}"
    past = rule.eligibility.past_trial
    if past != "any" and row["has_ever_trialled"] != (past == "required"):
        yield f"has_ever_trialled = {_shown(row['has_ever_trialled'])}, past_trial: {past}"
    low, high = rule.eligibility.tenure_days.at_least, rule.eligibility.tenure_days.at_most
    if (low is not None and row["tenure_days"] < low) or (high is not None and row["tenure_days"] > high):
        yield f"tenure_days = {row['tenure_days']}, allowed: {low or 0} to {'any' if high is None else high}"


def deciding(predicate: Predicate, row: Row, *, wanted: bool) -> Iterator[str]:
    """The comparisons because of which the predicate is not ``wanted``, with the account's values."""
    if holds(predicate, row) == wanted:
        return
    if predicate.not_ is not None:
        yield from deciding(predicate.not_, row, wanted=not wanted)
    elif predicate.feature is None:
        for part in predicate.all_ or predicate.any_ or ():
            yield from deciding(part, row, wanted=wanted)
    else:
        relation = f"{predicate.feature} {predicate.operator} {_operand(predicate.operand)}"
        negated = "" if wanted else "not "
        yield f"{predicate.feature} = {_shown(row[str(predicate.feature)])}, wanted: {negated}{relation}"


def _operand(operand: Any) -> str:
    if isinstance(operand, list):
        return "[" + ", ".join(_shown(value) for value in operand) + "]"
    return _shown(operand)


def _threshold(rule: Rule, row: Row) -> Decimal:
    """The one that the account's score was held against."""
    model = rule.score.model
    if model is None or model.threshold is None or model_points(rule, row) is None:
        return rule.score.threshold
    return model.threshold


def _score(rule: Rule, row: Row) -> str:
    given = model_points(rule, row)
    if given is not None and rule.score.model is not None:
        return f"score {given / POINTS:.4f} by {rule.score.model.name}"
    if rule.score.model is not None and rule.score.model.missing == "exclude":
        return f"no score of {rule.score.model.name} within {rule.score.model.max_age_days} days"
    return f"score {heuristic_points(rule, row) / POINTS:.4f} by heuristic"


def _exposure(rule: Rule, row: Row) -> Iterator[str]:
    seen = next(item for item in row["offer_exposures"] if item["offer_id"] == rule.offer_id)
    if rule.frequency is not None:
        days, limit = rule.frequency.within_days, rule.frequency.max_impressions
        yield f"shown {seen[f'impressions_{days}d']} times in {days} days, allowed: {limit}"
    if rule.cool_down is not None:
        last = seen[f"last_{rule.cool_down.after}_date"]
        yield f"last {rule.cool_down.after}: {_shown(last)}, rests {rule.cool_down.days} days"
