"""The subscriber marts of a company, from its raw rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.company import Catalogue, Company, Window
from tests.dbt.reference.days import (
    DAY,
    Cell,
    Closing,
    Prices,
    SubscriptionDay,
    closings,
    subscription_days,
    subscription_numbers,
)
from tests.dbt.reference.happenings import event_rows
from tests.dbt.reference.lives import Life, lives
from tests.dbt.reference.money import ZERO, total
from tests.dbt.reference.movements import Movement, movements
from tests.dbt.reference.outcomes import (
    CohortMember,
    DayCohortMember,
    TrialOutcome,
    churn_rows,
    cohort_members,
    day_cohort_members,
    measured_date,
    trial_outcomes,
)
from tests.dbt.reference.payments import paid, payment_rows
from tests.dbt.reference.renewals import failed_charge_days, is_renewal_due, renewal_date, renewal_risk
from tests.dbt.reference.revenue import Part, daily_parts, monthly_parts, revenue_rows
from tests.dbt.reference.subscribers import subscriber_rows
from tests.dbt.reference.upsell import Plan, PlanMove, plan_moves

Row = dict[str, Any]


@dataclass(frozen=True)
class Marts:
    """Rows of each mart; ``aggregated`` what the aggregates are made of, which add up over companies."""

    rows: dict[str, list[Row]]
    days: list[SubscriptionDay]
    daily_revenue: list[Part]
    monthly_revenue: list[Part]
    closings: list[Closing]
    movements: list[Movement]
    trials: list[TrialOutcome]
    cohorts: list[CohortMember]
    day_cohorts: list[DayCohortMember]
    plan_moves: list[PlanMove]


def marts(company: Company, catalogue: Catalogue, window: Window) -> Marts:
    """Build the row-level marts of one company."""
    accounts, prices = Accounts(company.accounts, window), Prices(catalogue, window)
    known = lives(company.events, window)
    days = [
        row
        for life in known
        for row in subscription_days(life, accounts, prices, window.start - DAY, window.end)
    ]
    payments = paid(company.payments, known, accounts, prices, window)
    closes = closings(days, accounts, window)
    moves = movements(closes, known, accounts, prices)
    trials = trial_outcomes(known, payments, accounts, prices, window)
    return Marts(
        rows={
            "int_subscription_periods": [row for life in known for row in _periods(life)],
            "fct_subscription_daily": _subscription_rows(
                days, known, accounts, prices, window, failed_charge_days(company.payments, window)
            ),
            "fct_subscriber_daily": subscriber_rows(days, company.members, moves, accounts, window),
            "fct_trial": [trial.row for trial in trials],
            "fct_churn": churn_rows(known, accounts, window),
            "fct_subscription_event": event_rows(known, days, accounts, prices, window),
            "fct_payment": payment_rows(payments, window),
        },
        days=days,
        daily_revenue=daily_parts(payments, days, window),
        monthly_revenue=monthly_parts(payments, days, prices, window),
        closings=closes,
        movements=moves,
        trials=trials,
        cohorts=cohort_members(known, accounts, prices, window),
        day_cohorts=day_cohort_members(known, accounts, prices, window),
        plan_moves=plan_moves(known, days, closes, payments, accounts, prices, window),
    )


def aggregates(parts: Iterable[Marts], window: Window) -> dict[str, list[Row]]:
    """The aggregates over companies that share no account."""
    everything = list(parts)
    return {
        "agg_subscribers_daily": _subscribers([d for m in everything for d in m.days], [
            c for m in everything for c in m.closings
        ]),
        "agg_mrr_movements_daily": _movements([v for m in everything for v in m.movements]),
        "agg_revenue_daily": revenue_rows([p for m in everything for p in m.daily_revenue], False),
        "agg_revenue_monthly": revenue_rows([p for m in everything for p in m.monthly_revenue], True),
        "agg_trial_outcomes": _trials([t for m in everything for t in m.trials]),
        "agg_retention_days": _day_cohorts([c for m in everything for c in m.day_cohorts]),
        "agg_retention_cohorts": _cohorts([c for m in everything for c in m.cohorts], window),
        "agg_upsell_daily": _upsell([p for m in everything for p in m.plan_moves]),
    }  # fmt: skip


def _periods(life: Life) -> Iterable[Row]:
    for period in life.periods:
        opening, standing = period.opening, period.standing
        yield {
            "subscription_id": life.subscription_id,
            "account_id": standing.account_id,
            "provider": opening.deciding.provider,
            "provider_event_id": opening.deciding.provider_event_id,
            "event_type": opening.deciding.event_type,
            "origin": opening.origin,
            "state": standing.state,
            "is_entitled": standing.is_entitled,
            "plan_id": standing.plan_id,
            "price_amount": standing.price_amount,
            "is_price_unknown": standing.is_price_unknown,
            "currency": standing.currency,
            "billing_interval": standing.rhythm[0] if standing.rhythm else None,
            "billing_interval_count": standing.rhythm[1] if standing.rhythm else None,
            "is_auto_renew": standing.auto_renew,
            "reason": opening.deciding.reason,
            "end_reason": period.end_reason,
            "offer_id": opening.deciding.offer_id,
            "valid_from_at": period.since,
            "valid_to_at": period.until,
            "is_conflicting_opening": opening.is_conflict,
            "subscription_started_at": life.started_at,
            "first_paid_at": life.first_paid_at,
            "is_paid": standing.is_paid,
        }


def _subscription_rows(
    days: list[SubscriptionDay],
    known: list[Life],
    accounts: Accounts,
    prices: Prices,
    window: Window,
    failed: set[tuple[str, date]],
) -> list[Row]:
    shown = [row for row in days if row.day >= window.start and not row.holder.is_excluded]
    numbers = {day: subscription_numbers(known, accounts, day) for day in {row.day for row in shown}}
    return [
        {
            "snapshot_date": row.day,
            "subscription_id": row.life.subscription_id,
            "account_id": row.holder.account_id,
            "provider": row.provider,
            "market": row.holder.market,
            "plan_id": row.standing.plan_id,
            "plan_kind": row.plan_kind,
            "billing_interval": row.rhythm[0] if row.rhythm else None,
            "billing_interval_count": row.rhythm[1] if row.rhythm else None,
            "state": row.standing.state,
            "is_trial": row.standing.state == "trial",
            "is_paid": row.standing.is_paid,
            "is_auto_renew": row.standing.auto_renew,
            "was_active_at_day_start": row.was_active_at_start,
            "was_active_at_day_end": row.was_active_at_end,
            "price_amount": row.standing.price_amount,
            "currency": row.standing.currency,
            "mrr_amount": row.mrr,
            "mrr_usd_amount": row.mrr_usd,
            "net_mrr_amount": row.net,
            "net_mrr_usd_amount": row.net_usd,
            "usd_rate": row.usd_rate,
            "subscription_number": numbers[row.day][row.holder.account_id, row.life.subscription_id],
            "subscription_start_date": row.started_at.date(),
            "tenure_days": row.tenure_days,
            "current_period_end_at": row.paid_until,
            "trial_ends_at": row.paid_until if row.standing.state == "trial" else None,
            "next_renewal_date": renewal_date(row),
            "is_renewal_due_14d": is_renewal_due(row, failed),
            "renewal_risk": renewal_risk(row, prices, failed),
            "cancelled_at": row.cancelled_at,
            "days_since_cancelled": (row.day - row.cancelled_at.date()).days if row.cancelled_at else None,
        }
        for row in shown
    ]


def _cell_row(cell: Cell) -> Row:
    return dict(zip(("market", "plan_kind", "provider", "currency"), cell, strict=True))


def _subscribers(days: list[SubscriptionDay], closes: list[Closing]) -> list[Row]:
    cells: dict[tuple[Any, Cell], dict[str, int]] = {}

    def count(day: Any, cell: Cell, *names: str) -> None:
        counts = cells.setdefault((day, cell), dict.fromkeys(_COUNTS, 0))
        for name in names:
            counts[name] += 1

    for closing in closes:
        before, after = closing.before, closing.after
        if before:
            left = "ends" if after is None else None if closing.is_same_cell else "moves_out"
            count(closing.day, before.cell, "opening_subscriptions", *([left] if left else []))
        if after:
            entered = "starts" if before is None else None if closing.is_same_cell else "moves_in"
            count(closing.day, after.cell, *([entered] if entered else []))
    held: dict[tuple[Any, Cell], list[SubscriptionDay]] = {}
    for row in days:
        if row.was_active_at_end and not row.holder.is_excluded:
            held.setdefault((row.day, row.cell), []).append(row)
    found = []
    for (day, cell), counts in cells.items():
        theirs = held.get((day, cell), [])
        trials = sum(row.standing.state == "trial" for row in theirs)
        paid = sum(row.standing.is_paid for row in theirs)
        found.append(
            {"snapshot_date": day}
            | _cell_row(cell)
            | counts
            | {
                "active_subscriptions": len(theirs),
                "paid_subscriptions": paid,
                "trial_subscriptions": trials,
                "unpaid_subscriptions": len(theirs) - paid - trials,
                "unpriced_subscriptions": sum(row.mrr_usd is None for row in theirs),
                "payers": len({row.holder.account_id for row in theirs}),
                "mrr_amount": total([row.mrr for row in theirs]),
                "mrr_usd_amount": total([row.mrr_usd for row in theirs]),
                "net_mrr_amount": total([row.net for row in theirs]),
                "net_mrr_usd_amount": total([row.net_usd for row in theirs]),
            }
        )
    return found


_COUNTS = ("opening_subscriptions", "starts", "ends", "moves_in", "moves_out")


def _movements(moves: list[Movement]) -> list[Row]:
    lines: dict[tuple[Any, ...], list[tuple[str, Any, Any]]] = {}
    for move in moves:
        for cell, change in move.changes.items():
            if move.kind != "none" or change.mrr or change.mrr_usd:
                key = (move.day, move.kind, move.churn_reason, move.reason, cell)
                lines.setdefault(key, []).append((move.account_id, change.mrr, change.mrr_usd))
            if change.fx_usd:
                key = (move.day, "fx", None, None, cell)
                lines.setdefault(key, []).append((move.account_id, ZERO, change.fx_usd))
    return [
        {"snapshot_date": day, "movement": kind, "churn_reason": churn_reason, "movement_reason": reason}
        | _cell_row(cell)
        | {
            "accounts": len({account_id for account_id, _, _ in theirs}),
            "mrr_amount": sum(mrr for _, mrr, _ in theirs),
            "mrr_usd_amount": sum(usd for _, _, usd in theirs),
        }
        for (day, kind, churn_reason, reason, cell), theirs in lines.items()
    ]


def _trials(trials: list[TrialOutcome]) -> list[Row]:
    def row(cell: Any, theirs: list[TrialOutcome]) -> Row:
        names = ("trial_start_date", "market", "plan_kind", "provider", "offer_id")
        return dict(zip(names, cell, strict=True)) | {
            "started": len(theirs),
            "converted": sum(t.is_converted for t in theirs),
            "pending": sum(not t.is_converted and not t.is_mature for t in theirs),
            "abandoned": sum(not t.is_converted and t.is_mature for t in theirs),
            "mature_started": sum(t.is_mature for t in theirs),
            "mature_converted": sum(t.is_mature and t.is_converted for t in theirs),
        }

    return _grouped(trials, row)


def _cohorts(members: list[CohortMember], window: Window) -> list[Row]:
    def row(cell: Any, theirs: list[CohortMember]) -> Row:
        names = ("activity_month", "cohort_month", "market", "plan_kind", "provider")
        month, cohort = cell[:2]
        following = (month + timedelta(days=31)).replace(day=1)
        return dict(zip(names, cell, strict=True)) | {
            "month_number": (month.year - cohort.year) * 12 + month.month - cohort.month,
            "cohort_accounts": len(theirs),
            "retained_accounts": sum(m.is_retained for m in theirs),
            "measured_date": measured_date(month, window),
            "is_complete": following <= window.as_of + DAY,
        }

    return _grouped(members, row)


def _upsell(moves: list[PlanMove]) -> list[Row]:
    def plan(side: str, sold: Plan) -> Row:
        kind, rhythm = sold
        interval, count = rhythm or (None, None)
        return {
            f"{side}_plan_kind": kind,
            f"{side}_billing_interval": interval,
            f"{side}_billing_interval_count": count,
        }

    cells: dict[Any, list[PlanMove]] = {}
    for move in moves:
        key = (move.measured_on, move.horizon_days, move.before, move.after, move.market, move.offer_id)
        cells.setdefault(key, []).append(move)
    return [
        {
            "measured_date": measured_on,
            "horizon_days": horizon,
            "move_date": measured_on - DAY * horizon,
            "move": theirs[0].kind,
        }
        | plan("from", before)
        | plan("to", after)
        | {
            "market": market,
            "offer_id": offer_id,
            "is_offer_touched": offer_id is not None,
            "accounts": len(theirs),
            "retained_accounts": sum(move.is_paying for move in theirs),
            "on_plan_accounts": sum(move.is_on_plan for move in theirs),
            "mrr_before_usd_amount": None if horizon else total([move.mrr_before for move in theirs]),
            "mrr_after_usd_amount": total([move.mrr_after for move in theirs]),
            "revenue_usd_amount": _known_total([move.revenue for move in theirs]),
        }
        for (measured_on, horizon, before, after, market, offer_id), theirs in cells.items()
    ]


def _known_total(amounts: list[Decimal | None]) -> Decimal | None:
    return None if None in amounts else total(amounts)


def _day_cohorts(members: list[DayCohortMember]) -> list[Row]:
    def row(cell: Any, theirs: list[DayCohortMember]) -> Row:
        names = ("measured_date", "day_number", "cohort_date", "market", "plan_kind", "provider")
        return dict(zip(names, cell, strict=True)) | {
            "cohort_accounts": len(theirs),
            "retained_accounts": sum(m.is_retained for m in theirs),
        }

    return _grouped(members, row)


def _grouped(items: list[Any], row: Callable[[Any, list[Any]], Row]) -> list[Row]:
    cells: dict[Any, list[Any]] = {}
    for item in items:
        cells.setdefault(item.cell, []).append(item)
    return [row(cell, theirs) for cell, theirs in cells.items()]
