"""What became of churns, of trials and of the accounts that paid for the first time in one month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.company import Window
from tests.dbt.reference.days import DAY, Prices, days_between, midnight
from tests.dbt.reference.lives import Life, Period
from tests.dbt.reference.money import ZERO, total
from tests.dbt.reference.payments import Paid

Row = dict[str, object]

RESTATED_TRIAL_DAYS = 90
CONVERSION_DAYS = 90
REFUND_DAYS = 14
RESTATED_COHORT_DAYS = 30
RECOVERY_DAYS = 14
RETENTION_DAYS = (7, 30, 60, 90)

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class TrialOutcome:
    """A trial of an account that is not excluded, and what became of it."""

    cell: tuple[date, str, str | None, str, str | None]
    subscription_id: str
    account_id: str
    plan_id: str | None
    started_at: datetime
    ended_at: datetime | None
    converted_at: datetime | None
    is_refunded: bool
    is_mature: bool
    ended_into: Period | None

    @property
    def is_converted(self) -> bool:
        return self.converted_at is not None

    @property
    def outcome(self) -> str:
        return "converted" if self.is_converted else "abandoned" if self.is_mature else "pending"

    @property
    def not_converted_reason(self) -> str | None:
        if self.outcome != "abandoned" or self.ended_into is None:
            return None
        if self.is_refunded:
            return "refunded"
        into = self.ended_into.standing
        if into.state in ("grace", "billing_retry") or (into.state == "active" and not into.is_paid):
            return "involuntary"
        return self.ended_into.end_reason or "no_payment"

    @property
    def row(self) -> Row:
        day, market, kind, provider, offer_id = self.cell
        return {
            "trial_date": day,
            "subscription_id": self.subscription_id,
            "trial_started_at": self.started_at,
            "account_id": self.account_id,
            "market": market,
            "provider": provider,
            "plan_id": self.plan_id,
            "plan_kind": kind,
            "offer_id": offer_id,
            "trial_ended_at": self.ended_at,
            "is_mature": self.is_mature,
            "outcome": self.outcome,
            "is_converted": self.is_converted,
            "converted_at": self.converted_at,
            "is_refunded_14d": self.is_refunded,
            "not_converted_reason": self.not_converted_reason,
        }


def trial_outcomes(
    lives: Iterable[Life], payments: Sequence[Paid], accounts: Accounts, prices: Prices, window: Window
) -> list[TrialOutcome]:
    """The trials that began in the restated days: start day, market, plan kind, provider and offer each."""
    charged = _charges(payments)
    first = midnight(window.start - DAY * RESTATED_TRIAL_DAYS)
    found = []
    for life in lives:
        for began, ended_into in _trials(life):
            day = began.since.date()
            holder = accounts.on(began.standing.account_id or "", day)
            if holder.is_excluded or not first <= began.since < midnight(window.end + DAY):
                continue
            until = began.since + DAY * CONVERSION_DAYS
            theirs = [c for c in charged.get(life.subscription_id, []) if began.since <= c[0] < until]
            known_until = midnight(window.as_of + DAY)
            ended_at = ended_into.since if ended_into and ended_into.since < known_until else None
            term = life.paid_until(began.since, ended_at) if ended_at else None
            longest = began.since + DAY * (CONVERSION_DAYS - REFUND_DAYS)
            over_at = ended_at and max(ended_at, min(term or ended_at, longest))
            deciding, plan_id = began.opening.deciding, began.standing.plan_id
            found.append(
                TrialOutcome(
                    (day, holder.market, prices.kind(plan_id), deciding.provider, deciding.offer_id),
                    life.subscription_id,
                    holder.account_id,
                    plan_id,
                    began.since,
                    ended_at,
                    min((at for at, is_refunded in theirs if not is_refunded), default=None),
                    any(is_refunded for _, is_refunded in theirs),
                    over_at is not None and over_at + DAY * REFUND_DAYS <= known_until,
                    ended_into,
                )
            )
    return found


def _trials(life: Life) -> Iterable[tuple[Period, Period | None]]:
    """Where the life enters a trial, and where it enters anything else."""
    began: Period | None = None
    for before, period in pairwise([None, *life.periods]):
        was_trial = before is not None and before.standing.state == "trial"
        is_trial = period is not None and period.standing.state == "trial"
        if is_trial and not was_trial:
            began = period
        if was_trial and not is_trial and began is not None and period is not None:
            yield began, period
            began = None
    if began is not None:
        yield began, None


def _charges(payments: Sequence[Paid]) -> dict[str, list[tuple[datetime, bool]]]:
    """When each subscription paid something, and whether all of it came back within the refund window."""
    found: dict[str, list[tuple[datetime, bool]]] = {}
    for charge in payments:
        at, amount = charge.payment.occurred_at, charge.cash.amount or ZERO
        if charge.payment.kind != "charge" or amount <= 0:
            continue
        refunded = -total([
            refund.cash.amount
            for refund in payments
            if refund.payment.kind == "refund"
            and refund.charge_id == charge.payment.shown_id
            and refund.payment.occurred_at < at + DAY * REFUND_DAYS
        ])  # fmt: skip
        found.setdefault(charge.payment.subscription_id, []).append((at, refunded >= amount))
    return found


def churn_rows(lives: list[Life], accounts: Accounts, window: Window) -> list[Row]:
    """The rows of ``fct_churn``: who paid at the close of the day before and not at the day's."""
    found: list[Row] = []
    for day in days_between(window.start - DAY * RECOVERY_DAYS, window.end):
        paying, paid, ends = set(), set(), {}
        for life in lives:
            before, after = (_close(life, on, accounts) for on in (day - DAY, day))
            known = after or before
            if known is None:
                continue
            account_id = accounts.on(known.standing.account_id or "", day).account_id
            if before and before.standing.is_paid:
                paid.add(account_id)
            if after and after.standing.is_paid:
                paying.add(account_id)
            if before and not after:
                for period in life.periods:
                    if period.end_reason and midnight(day) <= period.since < midnight(day + DAY):
                        ends.setdefault(account_id, []).append(
                            (period.since, life.subscription_id, period.end_reason)
                        )
        for account_id in sorted(paid - paying):
            theirs = ends.get(account_id, [])
            latest = [end for end in sorted(theirs) if end[0] == max(theirs)[0]]
            recovered = _recovered_date(account_id, day, lives, accounts, window)
            found.append(
                {
                    "churn_date": day,
                    "account_id": account_id,
                    "market": accounts.on(account_id, day).market,
                    "churn_reason": latest[0][2] if latest else "admin",
                    "is_mature": day + DAY * RECOVERY_DAYS <= window.as_of,
                    "is_recovered_14d": recovered is not None,
                    "recovered_date": recovered,
                    "days_to_recovery": (recovered - day).days if recovered else None,
                }
            )
    return found


def _close(life: Life, day: date, accounts: Accounts) -> Period | None:
    """How an entitled subscription of an account that is not excluded stands just before the day is over."""
    period = life.just_before(midnight(day + DAY))
    if period is None or not period.standing.is_entitled:
        return None
    return None if accounts.on(period.standing.account_id or "", day).is_excluded else period


def _recovered_date(
    account_id: str, day: date, lives: list[Life], accounts: Accounts, window: Window
) -> date | None:
    for later in days_between(day + DAY, min(day + DAY * RECOVERY_DAYS, window.as_of)):
        whoever = accounts.on(account_id, later).account_id
        closes = [close for life in lives if (close := _close(life, later, accounts))]
        if any(
            close.standing.is_paid
            and accounts.on(close.standing.account_id or "", later).account_id == whoever
            for close in closes
        ):
            return later
    return None


@dataclass(frozen=True)
class CohortMember:
    """An account in the month of its first payment, looked at in a later one."""

    cell: tuple[date, date, str, str, str]
    is_retained: bool


def cohort_members(
    lives: Iterable[Life], accounts: Accounts, prices: Prices, window: Window
) -> list[CohortMember]:
    """Every account that has paid by the as-of day, once for each activity month since its first payment."""
    paid: dict[str, list[tuple[datetime, str, Period]]] = {}
    for life in lives:
        for period in life.periods:
            holder = accounts.on(period.standing.account_id or "", window.as_of)
            is_known = period.since < midnight(window.as_of + DAY)
            if period.standing.is_paid and is_known and not holder.is_excluded:
                paid.setdefault(holder.account_id, []).append((period.since, life.subscription_id, period))
    found = []
    for theirs in paid.values():
        since, _, first = min(theirs, key=lambda entry: entry[:2])
        market = accounts.on(first.standing.account_id or "", window.as_of).market
        kind = prices.kind(first.standing.plan_id) or "unknown"
        cohort_month = since.date().replace(day=1)
        for month in _months(window):
            if cohort_month > month:
                continue
            close = midnight(measured_date(month, window) + DAY)
            is_retained = any(
                at < close and (period.until or _NEVER) >= close for at, _, period in theirs
            )  # fmt: skip
            cell = (month, cohort_month, market, kind, first.opening.deciding.provider)
            found.append(CohortMember(cell, is_retained))
    return found


@dataclass(frozen=True)
class DayCohortMember:
    """An account so many days after its first payment."""

    cell: tuple[date, int, date, str, str, str]
    is_retained: bool


def day_cohort_members(
    lives: Iterable[Life], accounts: Accounts, prices: Prices, window: Window
) -> list[DayCohortMember]:
    """Every account on each of the window's days that is 7, 30, 60 or 90 days after its first payment."""
    paid_periods = [
        (period.since, life.subscription_id, period)
        for life in lives
        for period in life.periods
        if period.standing.is_paid
    ]
    found = []
    for day in days_between(window.start, window.end):
        close = midnight(day + DAY)
        paid: dict[str, list[tuple[datetime, str, Period]]] = {}
        for entry in paid_periods:
            holder = accounts.on(entry[2].standing.account_id or "", day)
            if not holder.is_excluded:
                paid.setdefault(holder.account_id, []).append(entry)
        for theirs in paid.values():
            since, _, first = min(theirs, key=lambda entry: entry[:2])
            number = (day - since.date()).days
            if number not in RETENTION_DAYS:
                continue
            market = accounts.on(first.standing.account_id or "", since.date()).market
            kind = prices.kind(first.standing.plan_id) or "unknown"
            is_retained = any(at < close and (period.until or _NEVER) >= close for at, _, period in theirs)
            cell = (day, number, since.date(), market, kind, first.opening.deciding.provider)
            found.append(DayCohortMember(cell, is_retained))
    return found


def _months(window: Window) -> list[date]:
    first = window.start - DAY * RESTATED_COHORT_DAYS
    days = [first + DAY * n for n in range((window.end - first).days + 1)]
    return [day for day in days if day.day == 1]


def measured_date(month: date, window: Window) -> date:
    """The last day of the month; the last known day of one that is not over."""
    following = (month + timedelta(days=31)).replace(day=1)
    return min(following - DAY, window.as_of)
