"""What moved the recurring revenue from one close to the next, account by account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.days import DAY, Cell, Closing, Prices, SubscriptionDay, midnight
from tests.dbt.reference.lives import Life
from tests.dbt.reference.money import ZERO, in_usd, is_same_rhythm


@dataclass
class Change:
    """How much an account's revenue in one cell changed in a day; unknown revenue counts as none."""

    mrr: Decimal = ZERO
    mrr_usd: Decimal = ZERO
    fx_usd: Decimal = ZERO


@dataclass
class Movement:
    """What an account's revenue did on a day."""

    day: date
    account_id: str
    kind: str
    churn_reason: str | None
    reason: str | None = None
    changes: dict[Cell, Change] = field(default_factory=dict)
    was_paying: bool = False
    """At the close of the day before, for a subscription of its own."""
    is_paying: bool = False

    @property
    def mrr_usd(self) -> Decimal:
        return sum((change.mrr_usd for change in self.changes.values()), ZERO)

    @property
    def fx_usd(self) -> Decimal:
        return sum((change.fx_usd for change in self.changes.values()), ZERO)


def movements(
    closings: Iterable[Closing], lives: list[Life], accounts: Accounts, prices: Prices
) -> list[Movement]:
    """Movements of all accounts that had or have revenue, those of kind ``none`` included."""
    by_account: dict[tuple[date, str], list[Closing]] = {}
    for closing in closings:
        by_account.setdefault((closing.day, closing.account_id), []).append(closing)
    found = []
    for (day, account_id), theirs in sorted(by_account.items()):
        was_paid = any(c.before is not None and c.before.standing.is_paid for c in theirs)
        is_paid = any(c.after is not None and c.after.standing.is_paid for c in theirs)
        movement = Movement(
            day, account_id, "none", None,
            changes=_changes(theirs, prices), was_paying=was_paid, is_paying=is_paid,
        )  # fmt: skip
        if is_paid and not was_paid:
            has_paid_before = _has_paid_before(lives, accounts, account_id, day)
            movement.kind = "reactivation" if has_paid_before else "new"
        elif was_paid and not is_paid:
            movement.kind = "churn"
            movement.churn_reason = _churn_reason(theirs, lives)
        elif is_paid and movement.mrr_usd:
            movement.kind = "expansion" if movement.mrr_usd > 0 else "contraction"
        movement.reason = _movement_reason(movement.kind, theirs, lives, prices)
        found.append(movement)
    return found


def _changes(closings: list[Closing], prices: Prices) -> dict[Cell, Change]:
    changes: dict[Cell, Change] = {}
    for closing in closings:
        before, after = closing.before, closing.after
        if before and after and closing.is_same_cell:
            change = changes.setdefault(after.cell, Change())
            rate = prices.usd_rate(before.standing.currency, closing.day)
            before_usd = before.mrr_usd or ZERO
            fx = (in_usd(before.mrr or ZERO, rate) or ZERO) - before_usd
            change.mrr += (after.mrr or ZERO) - (before.mrr or ZERO)
            change.mrr_usd += (after.mrr_usd or ZERO) - before_usd - fx
            change.fx_usd += fx
            continue
        if before:
            change = changes.setdefault(before.cell, Change())
            change.mrr -= before.mrr or ZERO
            change.mrr_usd -= before.mrr_usd or ZERO
        if after:
            change = changes.setdefault(after.cell, Change())
            change.mrr += after.mrr or ZERO
            change.mrr_usd += after.mrr_usd or ZERO
    return changes


def _change_usd(closing: Closing, prices: Prices) -> Decimal:
    """What a subscription's revenue changed, without what exchange rates did in its cell."""
    return sum((change.mrr_usd for change in _changes([closing], prices).values()), ZERO)


def _movement_reason(kind: str, closings: list[Closing], lives: list[Life], prices: Prices) -> str | None:
    """What the subscription did that changed most of it in the movement's direction."""
    sign = {"expansion": 1, "contraction": -1, "reactivation": 1}.get(kind)
    if sign is None:
        return None
    moved = [(_change_usd(closing, prices) * sign, closing) for closing in closings]
    took_part = [
        (-change, closing.subscription_id, closing)
        for change, closing in moved
        if (is_paid(closing.after) if kind == "reactivation" else change > 0)
    ]
    change, subscription_id, closing = min(took_part, key=lambda entry: entry[:2])
    life = next(life for life in lives if life.subscription_id == subscription_id)
    reason = _change_reason(closing, life, -change * sign)
    if reason == "start":
        return "second_subscription" if kind == "expansion" else "return"
    return reason


def is_paid(row: SubscriptionDay | None) -> bool:
    """Whether a subscription is paid at a close; one that is not there is not."""
    return row is not None and row.standing.is_paid


def _change_reason(closing: Closing, life: Life, change_usd: Decimal) -> str:
    before, after, begins = closing.before, closing.after, midnight(closing.day)
    if is_paid(after) and not is_paid(before):
        if life.first_paid_at is not None and life.first_paid_at >= begins:
            return "start"
        period = life.just_before(begins)
        state = period.standing.state if period else None
        return {"billing_retry": "recovery", "paused": "resumption"}.get(state or "", "return")
    if is_paid(before) and not is_paid(after):
        if after is not None:
            return "other"
        ends = [p.end_reason for p in life.periods if p.end_reason and begins <= p.since < begins + DAY]
        lost = {"paused": "subscription_paused", "involuntary": "payment_failure"}
        return lost.get(ends[-1] if ends else "", "subscription_ended")
    assert before is not None
    assert after is not None
    if before.rhythm and after.rhythm:
        is_other_rhythm = not is_same_rhythm(before.rhythm, after.rhythm)
    else:
        is_other_rhythm = before.rhythm != after.rhythm
    if is_other_rhythm and before.plan_kind == after.plan_kind:
        return "rhythm"
    if before.standing.plan_id != after.standing.plan_id:
        return "upgrade" if change_usd > 0 else "downgrade"
    if before.standing.currency != after.standing.currency:
        return "currency"
    if is_other_rhythm:
        return "rhythm"
    return "price" if before.standing.price_amount != after.standing.price_amount else "other"


def _has_paid_before(lives: list[Life], accounts: Accounts, account_id: str, day: date) -> bool:
    """Whether whoever the account is on the day paid for anything before the day began."""
    return any(
        period.standing.is_paid
        and period.since < midnight(day)
        and accounts.on(period.standing.account_id or "", day).account_id == account_id
        for life in lives
        for period in life.periods
    )


def _churn_reason(closings: list[Closing], lives: list[Life]) -> str:
    """Reason of the latest end on the way; without any the account was excluded."""
    left = {c.subscription_id for c in closings if c.before and not c.after}
    day = closings[0].day
    ends = [
        (period.since, life.subscription_id, period.end_reason)
        for life in lives
        if life.subscription_id in left
        for period in life.periods
        if period.end_reason and midnight(day) <= period.since < midnight(day + DAY)
    ]
    if not ends:
        return "admin"
    latest = max(since for since, _, _ in ends)
    return next(reason for since, _, reason in sorted(ends) if since == latest)
