"""The renewal of a subscription that comes next, and what may keep it from coming."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from tests.dbt.reference.company import Payment, Window
from tests.dbt.reference.days import DAY, Prices, SubscriptionDay, days_between
from tests.dbt.reference.payments import first_told

OUTLOOK_DAYS = 14
FAILED_CHARGE_DAYS = 14

Failed = set[tuple[str, date]]
"""Subscriptions with the days by whose end the latest that was heard of a charge was that it failed."""


def failed_charge_days(payments: Iterable[Payment], window: Window) -> Failed:
    """Walk through the window's days, with the charges of the last two weeks."""
    told = [
        p for p in first_told(payments, window) if p.kind == "charge" and p.status in ("failed", "succeeded")
    ]
    found = set()
    for day in days_between(window.start, window.end):
        latest: dict[str, tuple[datetime, bool]] = {}
        for payment in told:
            if day - DAY * FAILED_CHARGE_DAYS < payment.occurred_at.date() <= day:
                # Of one instant the success counts.
                tried = payment.occurred_at, payment.status == "succeeded"
                latest[payment.subscription_id] = max(latest.get(payment.subscription_id, tried), tried)
        found |= {(subscription_id, day) for subscription_id, (_, is_paid) in latest.items() if not is_paid}
    return found


def renewal_date(row: SubscriptionDay) -> date | None:
    """The day of the next renewal; None when auto-renew is off, or nobody tells it."""
    if row.standing.auto_renew is False or row.paid_until is None:
        return None
    return row.paid_until.date()


def is_renewal_due(row: SubscriptionDay, failed: Failed) -> bool:
    """Whether something paid is to be renewed in the next days, or should have been."""
    if not row.was_active_at_end or not row.standing.is_paid or row.standing.auto_renew is False:
        return False
    if row.standing.state == "grace" or (row.life.subscription_id, row.day) in failed:
        return True
    on = renewal_date(row)
    return on is not None and on <= row.day + DAY * OUTLOOK_DAYS


def renewal_risk(row: SubscriptionDay, prices: Prices, failed: Failed) -> str | None:
    """The first thing that may keep a renewal that is due from coming."""
    if not is_renewal_due(row, failed):
        return None
    on = renewal_date(row)
    if row.standing.state == "grace":
        return "grace"
    if (row.life.subscription_id, row.day) in failed:
        return "failed_charge"
    assert on is not None
    if on < row.day:
        return "overdue"
    now, then = (prices.listed(row.standing, row.holder.market, day, row.day) for day in (row.day, on))
    paid = row.standing.price_amount
    if now is None or then is None or paid is None:
        return None
    return "price_rise" if then > max(now, paid) else None
