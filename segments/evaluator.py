"""The rules in plain Python, written from their meaning and not from the SQL: what the statement is held to.

Takes rows of ``fct_account_features`` and known contents as dictionaries; gives each account's decisions and
offers. Also explains: every rule's outcome with the values that decided it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from segments.content import Contents, by_entry, content_flaws, shown_entry, text_of
from segments.features import FEATURES
from segments.predicate import Predicate, Value, resolved_date
from segments.rule import (
    BASIS_POINTS,
    SERVED_DAYS,
    SERVED_PERIOD_DAYS,
    SERVING_SALT,
    TRACE_SALT,
    Bounds,
    Eligibility,
    Program,
    Rule,
    Variant,
)
from segments.source import RuleBook
from segments.steps import POINTS, Reason

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """What became of one rule for one account. ``failed`` holds every failing step that was judged."""

    rule: Rule
    reason: Reason
    failed: tuple[Reason, ...]
    points: int
    variant: Variant | None = None
    content: Row | None = None


@dataclass
class AccountDecisions:
    """One account's decisions by rule id, its offers best first, and why it may have none."""

    account_id: str
    decisions: dict[str, Decision] = field(default_factory=dict)
    offers: list[dict[str, Any]] = field(default_factory=list)
    suppressed_reason: str | None = None


def bucket(account_id: str, salt: str) -> int:
    """The account's bucket of ``BASIS_POINTS`` under a salt."""
    digest = hashlib.sha256(f"{account_id}:{salt}".encode()).hexdigest()
    return int(digest[:12], 16) % BASIS_POINTS


def served_until(account_id: str, day: date) -> datetime:
    """When a decision of ``day`` stops being served if no later one comes."""
    weekday = (day - date(1970, 1, 1)).days + SERVED_DAYS
    later = (bucket(account_id, SERVING_SALT) - weekday) % SERVED_PERIOD_DAYS
    return _midnight(day + timedelta(days=SERVED_DAYS + later))


def holds(predicate: Predicate, row: Row) -> bool:
    """Whether the predicate holds for the account's row of features."""
    if predicate.all_ is not None:
        return all(holds(part, row) for part in predicate.all_)
    if predicate.any_ is not None:
        return any(holds(part, row) for part in predicate.any_)
    if predicate.not_ is not None:
        return not holds(predicate.not_, row)
    name = str(predicate.feature)
    value, operand = row[name], predicate.operand
    if predicate.operator == "is_null":
        return (value is None) == operand
    if value is None:
        return False
    if FEATURES[name] == "date":
        operand = _dates(operand, row["feature_date"])
    return bool(_OPERATORS[predicate.operator](value, operand))


def _dates(operand: Value | list[Value], day: date) -> Any:
    if isinstance(operand, list):
        return [resolved_date(value, day) for value in operand]
    return resolved_date(operand, day)


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "equals": lambda value, other: value == other,
    "not_equals": lambda value, other: value != other,
    "less_than": lambda value, other: value < other,
    "at_most": lambda value, other: value <= other,
    "more_than": lambda value, other: value > other,
    "at_least": lambda value, other: value >= other,
    "between": lambda value, ends: ends[0] <= value <= ends[1],
    "in": lambda value, others: value in others,
    "not_in": lambda value, others: value not in others,
}


def heuristic_points(rule: Rule, row: Row) -> int:
    """Ten-thousandths."""
    total = 0
    for ramp in rule.score.heuristic:
        value = row[ramp.feature]
        if value is None:
            continue
        done = (value - ramp.start) / (ramp.end - ramp.start)
        if done >= 1:
            share = POINTS
        elif done <= 0:
            share = 0
        else:
            share = POINTS * abs(value - ramp.start) // abs(ramp.end - ramp.start)
        total += ramp.weight * share
    return total // 100


def model_points(rule: Rule, row: Row) -> int | None:
    """Ten-thousandths of the rule's model, None without a score that is young enough."""
    model = rule.score.model
    if model is None:
        return None
    for given in row["model_scores"] or ():
        if given["model"] == model.name:
            age = (row["feature_date"] - given["scored_date"]).days
            return int(given["score_points"]) if age < model.max_age_days else None
    return None


def is_eligible(eligibility: Eligibility, row: Row) -> bool:
    """Whether the account may have the offer at all."""
    listed = (
        (row["market"], eligibility.markets),
        (row["plan_kind"], eligibility.plan_kinds),
        (row["billing_interval"], eligibility.billing_intervals),
        (row["birth_year_band"], eligibility.age_bands),
    )
    if any(allowed is not None and value not in allowed for value, allowed in listed):
        return False
    if eligibility.past_trial != "any" and row["has_ever_trialled"] != (eligibility.past_trial == "required"):
        return False
    return _within(row["tenure_days"], eligibility.tenure_days)


def _within(value: int, bounds: Bounds) -> bool:
    low, high = bounds.at_least, bounds.at_most
    return (low is None or value >= low) and (high is None or value <= high)


def is_shown_day(rule: Rule, shown: date) -> bool:
    """Whether the offer may be shown on a day."""
    first, last = rule.validity.from_date, rule.validity.to_date
    return (first is None or shown >= first) and (last is None or shown <= last)


def judge(rule: Rule, program: Program, row: Row, contents: Contents) -> Decision:
    """The rule on the account's own row, up to frequency and cool-down; ``SELECTED`` may still be lost."""
    account_id, day = row["account_id"], row["feature_date"]
    given, heuristic = model_points(rule, row), heuristic_points(rule, row)
    excludes = rule.score.model is not None and rule.score.model.missing == "exclude"
    points = given if given is not None else (0 if excludes else heuristic)
    score = rule.score
    threshold = score.threshold_points if given is None else score.model_threshold_points
    failures = {
        Reason.DELETION_REQUESTED: row["is_deletion_requested"],
        Reason.LEGAL_BLOCK: row["market"] in program.legal_blocked_markets,
        Reason.TEST_ACCOUNT: row["is_test_account"],
        Reason.NO_CONSENT: rule.consent != "none" and row[f"is_{rule.consent}_withdrawn"],
        Reason.WRONG_ENTITLEMENT: rule.entitlement != "any"
        and row["is_entitled"] != (rule.entitlement == "entitled"),
        Reason.GLOBAL_HOLDOUT: rule.holdout.respects_global and is_globally_held_out(program, account_id),
        Reason.OUTSIDE_VALIDITY: not is_shown_day(rule, day + timedelta(days=1)),
        Reason.NOT_ELIGIBLE: not is_eligible(rule.eligibility, row),
        Reason.NOT_IN_AUDIENCE: not holds(rule.audience, row),
        Reason.NO_SCORE: excludes and given is None,
        Reason.SCORE_TOO_LOW: points < threshold,
    }
    failed = tuple(reason for reason, fails in failures.items() if fails)
    variant = _variant(rule, account_id)
    if not failed:
        failed = (*content_flaws(rule, variant, row["locale"], day, contents), *_rested(rule, row))
    if failed:
        return Decision(rule, failed[0], failed, points, variant)
    shown = text_of(shown_entry(rule, variant), rule, row["locale"], day, contents)
    return Decision(rule, Reason.SELECTED, (), points, variant, shown.content)


def is_globally_held_out(program: Program, account_id: str) -> bool:
    """Whether the account gets nothing of the whole program."""
    return bucket(account_id, program.global_holdout.salt) < program.global_holdout.buckets


def is_traced(program: Program, account_id: str) -> bool:
    """Whether every failing step of the account is kept."""
    return bucket(account_id, TRACE_SALT) < program.traced_buckets


def _rested(rule: Rule, row: Row) -> tuple[Reason, ...]:
    failed = []
    if bucket(row["account_id"], rule.holdout_salt) < rule.holdout.local_buckets:
        failed.append(Reason.LOCAL_HOLDOUT)
    exposure = next((e for e in row["offer_exposures"] or () if e["offer_id"] == rule.offer_id), None)
    if exposure is not None and rule.frequency is not None:
        shown = exposure[f"impressions_{rule.frequency.within_days}d"]
        if shown >= rule.frequency.max_impressions:
            failed.append(Reason.FREQUENCY_REACHED)
    if exposure is not None and rule.cool_down is not None:
        last = exposure[f"last_{rule.cool_down.after}_date"]
        if last is not None and (row["feature_date"] - last).days < rule.cool_down.days:
            failed.append(Reason.COOLING_DOWN)
    return tuple(failed)


def _variant(rule: Rule, account_id: str) -> Variant | None:
    if rule.experiment is None:
        return None
    number, last = bucket(account_id, rule.experiment.salt), 0
    for variant in rule.experiment.variants:
        last += int(variant.percent * 100)
        if number < last:
            return variant
    return None


def evaluate(book: RuleBook, rows: Sequence[Row], contents: Iterable[Row]) -> dict[str, AccountDecisions]:
    """Decisions of every account × active rule of one day, by account id.

    ``contents``: rows entry_id, locale, content_version, is_published, valid_from_at, valid_until_at, of the
    versions known on the day.
    """
    known = by_entry(contents)
    by_id = {row["account_id"]: row for row in rows}
    accounts = {account_id: AccountDecisions(account_id) for account_id in by_id}
    for account_id, account in accounts.items():
        for rule in book.active:
            account.decisions[rule.id] = judge(rule, book.program, by_id[account_id], known)
        _compete(account, book.program)
    for rule in book.active:
        if rule.cap is not None:
            _cap(rule, list(accounts.values()))
    for account_id, account in accounts.items():
        _conclude(account, book.program, by_id[account_id])
    return accounts


def _order(decision: Decision) -> tuple[int, int, str]:
    return decision.rule.priority, -decision.points, decision.rule.id


def _winning(account: AccountDecisions) -> list[Decision]:
    chosen = [found for found in account.decisions.values() if found.reason is Reason.SELECTED]
    return sorted(chosen, key=_order)


def _refuse(account: AccountDecisions, decision: Decision, reason: Reason) -> None:
    account.decisions[decision.rule.id] = replace(decision, reason=reason)


def _compete(account: AccountDecisions, program: Program) -> None:
    taken = set()
    for decision in _winning(account):
        if decision.rule.group in taken:
            _refuse(account, decision, Reason.LOST_EXCLUSIVITY)
        taken.add(decision.rule.group)
    for decision in _winning(account)[program.max_offers_per_account :]:
        _refuse(account, decision, Reason.ACCOUNT_CAP_REACHED)


def _cap(rule: Rule, accounts: list[AccountDecisions]) -> None:
    winners = [account for account in accounts if account.decisions[rule.id].reason is Reason.SELECTED]
    winners.sort(key=lambda account: (-account.decisions[rule.id].points, account.account_id))
    for account in winners[rule.cap :]:
        _refuse(account, account.decisions[rule.id], Reason.RULE_CAP_REACHED)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _conclude(account: AccountDecisions, program: Program, row: Row) -> None:
    for decision in _winning(account):
        rule, variant, content = decision.rule, decision.variant, decision.content or {}
        ends = [served_until(account.account_id, row["feature_date"])]
        if rule.validity.to_date is not None:
            ends.append(_midnight(rule.validity.to_date + timedelta(days=1)))
        if content["valid_until_at"] is not None:
            ends.append(content["valid_until_at"])
        account.offers.append(
            {
                "offer_id": rule.offer_id,
                "rule_id": rule.id,
                "rule_version": rule.version,
                "priority": rule.priority,
                "score": decision.points / POINTS,
                "reason_code": rule.reason_code,
                "experiment_id": rule.experiment.id if rule.experiment else None,
                "variant": variant.name if variant else None,
                "is_control": variant.is_control if variant else False,
                "content_id": content["entry_id"],
                "content_version": content["content_version"],
                "valid_until_at": min(ends),
                "content_locale": content["locale"],
            }
        )
    account.suppressed_reason = _suppression(account, program, row)


def _suppression(account: AccountDecisions, program: Program, row: Row) -> str | None:
    if row["is_deletion_requested"]:
        return Reason.DELETION_REQUESTED.value
    if row["market"] in program.legal_blocked_markets:
        return Reason.LEGAL_BLOCK.value
    if row["is_test_account"]:
        return Reason.TEST_ACCOUNT.value
    if account.offers:
        return None
    if row["is_marketing_withdrawn"]:
        return Reason.NO_CONSENT.value
    return Reason.GLOBAL_HOLDOUT.value if is_globally_held_out(program, account.account_id) else None
