"""Who moved between plans, and what became of them: the closes of two days, account by account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.company import Window
from tests.dbt.reference.days import DAY, Closing, Prices, SubscriptionDay, days_between, midnight
from tests.dbt.reference.lives import Life, Period
from tests.dbt.reference.money import Rhythm, total
from tests.dbt.reference.payments import Paid

HORIZONS = (0, 30, 90)
KINDS = ("free", "unknown", "basic", "student", "individual", "duo", "family")
"""From the smallest to the largest."""
DAYS_PAID = {"day": Decimal(1), "week": Decimal(7), "month": Decimal(365) / 12, "year": Decimal(365)}

Plan = tuple[str, Rhythm | None]
"""Kind and rhythm of what is paid for."""
NOTHING: Plan = ("free", None)


@dataclass(frozen=True)
class PlanMove:
    """A move of one account, as it stands when its horizon is over."""

    measured_on: date
    horizon_days: int
    before: Plan
    after: Plan
    market: str
    offer_id: str | None
    is_paying: bool
    is_on_plan: bool
    mrr_before: Decimal | None
    mrr_after: Decimal
    revenue: Decimal | None

    @property
    def kind(self) -> str:
        if self.before == NOTHING:
            return "start"
        if self.after == NOTHING:
            return "end"
        smaller, larger = KINDS.index(self.before[0]), KINDS.index(self.after[0])
        if smaller != larger:
            return "upgrade" if larger > smaller else "downgrade"
        if self.before[1] is None or self.after[1] is None:
            return "other"
        is_longer = _days(self.after[1]) > _days(self.before[1])
        return "longer_rhythm" if is_longer else "shorter_rhythm"


def _days(rhythm: Rhythm) -> Decimal:
    return DAYS_PAID[rhythm[0]] * rhythm[1]


def plan_moves(
    lives: Sequence[Life],
    days: Iterable[SubscriptionDay],
    closings: Sequence[Closing],
    payments: Sequence[Paid],
    accounts: Accounts,
    prices: Prices,
    window: Window,
) -> list[PlanMove]:
    """The moves that were complete on the window's days, without what impressions touched."""
    closes = [row for row in days if row.was_active_at_end and row.standing.is_paid]
    closes = [row for row in closes if not row.holder.is_excluded]
    found = []
    for measured_on in days_between(window.start, window.end):
        for horizon in HORIZONS:
            for account_id, (before, after, market, offer_id) in _moves(
                lives, accounts, prices, measured_on - DAY * horizon
            ).items():
                by_then = accounts.on(account_id, measured_on).account_id
                held = [r for r in closes if r.day == measured_on and r.holder.account_id == by_then]
                is_on_plan = any(_plan(r.plan_kind, r.rhythm) == after for r in held)
                found.append(
                    PlanMove(
                        measured_on, horizon, before, after, market, offer_id,
                        is_paying=bool(held),
                        is_on_plan=not held if after == NOTHING else is_on_plan,
                        mrr_before=None if horizon else total([
                            c.before.mrr_usd for c in closings
                            if c.before and (c.day, c.account_id) == (measured_on, account_id)
                        ]),
                        mrr_after=total([r.mrr_usd for r in held]),
                        revenue=_revenue(lives, accounts, payments, by_then, measured_on, horizon)
                        if horizon else None,
                    )
                )  # fmt: skip
    return found


Move = tuple[Plan, Plan, str, str | None]


def _moves(lives: Iterable[Life], accounts: Accounts, prices: Prices, day: date) -> dict[str, Move]:
    """Account → plans at the two closes, market, and the offer that the deciding event names."""
    sides: dict[str, tuple[list[tuple[date, str, Period, str]], ...]] = {}
    for life in lives:
        before = _at_close(life, accounts, day - DAY)
        after = _at_close(life, accounts, day)
        known = after or before
        if known is None or life.started_at is None:
            continue
        holder = accounts.on(known.standing.account_id or "", day)
        theirs = sides.setdefault(holder.account_id, ([], []))
        for held, period in zip(theirs, (before, after), strict=True):
            if period is not None and period.standing.is_paid:
                held.append((life.started_at.date(), life.subscription_id, period, holder.market))
    found = {}
    for account_id, (befores, afters) in sides.items():
        was, now = (min(held, key=lambda h: h[:2], default=None) for held in (befores, afters))
        described = now or was
        plans = [
            _plan(prices.kind(h[2].standing.plan_id), prices.rhythm(h[2].standing)) if h else NOTHING
            for h in (was, now)
        ]
        if described is None or plans[0] == plans[1]:
            continue
        is_begun = now is not None and now[2].since >= midnight(day)
        named = now[2].opening.deciding.offer_id if now is not None and is_begun else None
        found[account_id] = (plans[0], plans[1], described[3], named)
    return found


def _at_close(life: Life, accounts: Accounts, day: date) -> Period | None:
    period = life.just_before(midnight(day + DAY))
    if period is None or not period.standing.is_entitled:
        return None
    return None if accounts.on(period.standing.account_id or "", day).is_excluded else period


def _plan(kind: str | None, rhythm: Rhythm | None) -> Plan:
    if rhythm is not None and rhythm[0] == "month" and rhythm[1] % 12 == 0:
        rhythm = ("year", rhythm[1] // 12)
    return kind or "unknown", rhythm


def _revenue(
    lives: Iterable[Life],
    accounts: Accounts,
    payments: Sequence[Paid],
    account_id: str,
    measured_on: date,
    horizon: int,
) -> Decimal | None:
    """Charges of all that it holds by then less what was taken back of these, in US dollars; None without a
    rate."""
    own = set()
    for life in lives:
        last = life.just_before(midnight(measured_on + DAY))
        if last and accounts.on(last.standing.account_id or "", measured_on).account_id == account_id:
            own.add(life.subscription_id)
    theirs = [
        each
        for each in payments
        if each.is_counted
        and each.payment.subscription_id in own
        and measured_on - DAY * horizon <= each.day < measured_on
    ]
    charges = {each.payment.shown_id for each in theirs if each.payment.kind == "charge"}
    amounts = [
        each.cash_usd.amount
        for each in theirs
        if each.payment.kind == "charge" or each.charge_id in {None, *charges}
    ]
    return None if None in amounts else total(amounts)
