"""What moved the recurring revenue from one close to the next, account by account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.days import DAY, Cell, Closing, Prices, midnight
from tests.dbt.reference.lives import Life
from tests.dbt.reference.money import ZERO, in_usd


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
    changes: dict[Cell, Change] = field(default_factory=dict)

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
        movement = Movement(day, account_id, "none", None, _changes(theirs, prices))
        was_paid = any(c.before is not None and c.before.standing.is_paid for c in theirs)
        is_paid = any(c.after is not None and c.after.standing.is_paid for c in theirs)
        if is_paid and not was_paid:
            has_paid_before = _has_paid_before(lives, accounts, account_id, day)
            movement.kind = "reactivation" if has_paid_before else "new"
        elif was_paid and not is_paid:
            movement.kind = "churn"
            movement.churn_reason = _churn_reason(theirs, lives)
        elif is_paid and movement.mrr_usd:
            movement.kind = "expansion" if movement.mrr_usd > 0 else "contraction"
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
