"""The renewal of a subscription that comes next, and what may keep it from coming."""

from __future__ import annotations

from datetime import date

from tests.dbt.reference.days import DAY, Prices, SubscriptionDay

OUTLOOK_DAYS = 14


def renewal_date(row: SubscriptionDay) -> date | None:
    """The day of the next renewal; None when auto-renew is off, or nobody tells it."""
    if row.standing.auto_renew is False or row.paid_until is None:
        return None
    return row.paid_until.date()


def is_renewal_due(row: SubscriptionDay) -> bool:
    """Whether something paid is to be renewed in the next days, or should have been."""
    if not row.was_active_at_end or not row.standing.is_paid or row.standing.auto_renew is False:
        return False
    on = renewal_date(row)
    return row.standing.state == "grace" or (on is not None and on <= row.day + DAY * OUTLOOK_DAYS)


def renewal_risk(row: SubscriptionDay, prices: Prices) -> str | None:
    """The first thing that may keep a renewal that is due from coming."""
    if not is_renewal_due(row):
        return None
    on = renewal_date(row)
    if row.standing.state == "grace":
        return "grace"
    assert on is not None
    if on < row.day:
        return "overdue"
    now, then = (prices.listed(row.standing, row.holder.market, day, row.day) for day in (row.day, on))
    paid = row.standing.price_amount
    if now is None or then is None or paid is None:
        return None
    return "price_rise" if then > max(now, paid) else None
