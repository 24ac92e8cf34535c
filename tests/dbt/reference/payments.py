"""What was paid: day after day, each payment held against what was known of its charge by then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.company import Payment, Window
from tests.dbt.reference.days import DAY, Cell, Prices, midnight
from tests.dbt.reference.lives import Life, Period
from tests.dbt.reference.money import ZERO, cents, in_usd

Row = dict[str, object]

REACH = timedelta(days=120)
OPENINGS = ("trial_started", "started", "reactivated")


@dataclass(frozen=True)
class Cash:
    """What counts of a payment, with its sign: money in is positive."""

    amount: Decimal | None
    vat: Decimal | None
    fee: Decimal | None
    net: Decimal | None


@dataclass(frozen=True)
class Paid:
    """A payment on its day, judged."""

    day: date
    payment: Payment
    charge_id: str | None
    reason: str | None
    account_id: str | None
    provider: str | None
    market: str
    plan_id: str | None
    plan_kind: str | None
    offer_id: str | None
    cash: Cash
    cash_usd: Cash

    @property
    def is_counted(self) -> bool:
        return self.reason is None or self.cash.amount != 0

    @property
    def cell(self) -> Cell:
        return self.market, self.plan_kind, self.provider, self.payment.currency  # type: ignore[return-value]


class _Charge:
    """What has been taken back of a charge so far, by kind."""

    def __init__(self) -> None:
        self.taken: list[tuple[date, Decimal]] = []
        self.returned: list[tuple[date, Decimal]] = []

    def so_far(self, day: date) -> tuple[Decimal, Decimal]:
        taken, returned = (
            sum((amount for on, amount in each if on >= day - REACH), ZERO)
            for each in (self.taken, self.returned)
        )
        return taken, returned


def paid(
    payments: Iterable[Payment], lives: Iterable[Life], accounts: Accounts, prices: Prices, window: Window
) -> list[Paid]:
    """Every payment that the run knows, by day."""
    known_lives = {life.subscription_id: life for life in lives}
    days = _by_day(payments, window)
    charges: dict[str, list[tuple[date, Payment]]] = {}
    countable: dict[date, list[Payment]] = {}
    counted_instead: dict[str, tuple[date, str]] = {}
    taken: dict[tuple[str, str], _Charge] = {}
    feed: set[tuple[str, str, date]] = set()
    notified: set[tuple[str, str, date]] = set()
    found = []
    for day, theirs in sorted(days.items()):
        feed |= {
            (p.subscription_id, p.kind, day) for p in theirs if p.source == "payments" and _is_settled(p)
        }
        for payment in theirs:
            if payment.kind == "charge":
                charges.setdefault(payment.shown_id, []).append((day, payment))
        twice = {p.shown_id for p in theirs if _is_told_twice(p, day, feed, notified)}
        notified |= {
            (p.subscription_id, p.kind, day)
            for p in theirs
            if p.source != "payments" and _is_settled(p) and p.shown_id not in twice
        }
        settled = [p for p in theirs if p.kind == "charge" and _is_settled(p)]
        countable[day] = [p for p in settled if p.shown_id not in twice]
        aside = [p for p in settled if p.shown_id in twice]
        for payment in aside:
            instead = _told_also(payment, aside, [countable[day], countable.get(day - DAY, [])])
            if instead is not None:
                counted_instead.setdefault(payment.shown_id, (day, instead))
        for payment in sorted(theirs, key=lambda p: (p.occurred_at, p.shown_id)):
            charge_id = payment.shown_charge_id
            since, instead = counted_instead.get(charge_id or "", (day, charge_id))
            if since >= day - REACH:
                charge_id = instead
            charge = _charge_of(payment, charge_id, day, charges)
            is_twice = payment.shown_id in twice
            counted = ZERO
            if _is_settled(payment) and not is_twice:
                counted = _counted(payment, charge_id, day, charge, taken)
            found.append(
                _judged(payment, charge_id, day, charge, counted, is_twice, known_lives, accounts, prices)
            )  # fmt: skip
    return found


def _place(payment: Payment, among: Iterable[Payment]) -> int:
    """The how-many-eth of its amount it is, of those that its source tells."""
    alike = [
        p
        for p in among
        if (p.subscription_id, p.currency, cents(p.amount), p.source == "payments")
        == (
            payment.subscription_id,
            payment.currency,
            cents(payment.amount),
            payment.source == "payments",
        )
    ]
    return sorted(alike, key=lambda p: (p.occurred_at, p.shown_id)).index(payment)


def _told_also(payment: Payment, aside: list[Payment], counted: list[list[Payment]]) -> str | None:
    """The row that counts of a charge that is set aside: of its day, or of the day before."""
    others = [
        (
            (p.currency, cents(p.amount)) != (payment.currency, cents(payment.amount)),
            _place(p, theirs) != _place(payment, aside),
            days_before,
            p.occurred_at,
            p.shown_id,
        )
        for days_before, theirs in enumerate(counted)
        for p in theirs
        if p.subscription_id == payment.subscription_id
        and (p.source == "payments") != (payment.source == "payments")
    ]
    return min(others)[-1] if others else None


def first_told(payments: Iterable[Payment], window: Window) -> list[Payment]:
    """What the run knows of each payment and status, as it was told first."""
    first: dict[tuple[str, str], Payment] = {}
    for payment in sorted(payments, key=lambda p: p.ingested_at):
        if window.knows(payment.ingested_at.date()) and payment.occurred_at < midnight(window.as_of + DAY):
            first.setdefault((payment.shown_id, payment.status), payment)
    return list(first.values())


def _by_day(payments: Iterable[Payment], window: Window) -> dict[date, list[Payment]]:
    best: dict[tuple[date, str], Payment] = {}
    ranks = {"succeeded": 0, "reversed": 0, "failed": 1, "pending": 2}
    for payment in first_told(payments, window):
        key = payment.occurred_at.date(), payment.shown_id
        if key not in best or ranks[payment.status] < ranks[best[key].status]:
            best[key] = payment
    days: dict[date, list[Payment]] = {}
    for (day, _), payment in best.items():
        days.setdefault(day, []).append(payment)
    return days


def _is_settled(payment: Payment) -> bool:
    return payment.status in ("succeeded", "reversed")


def _is_told_twice(
    payment: Payment, day: date, feed: set[tuple[str, str, date]], notified: set[tuple[str, str, date]]
) -> bool:
    if not _is_settled(payment):
        return False
    whose = payment.subscription_id, payment.kind
    if payment.source == "payments":
        return (*whose, day - DAY) in notified
    return (*whose, day) in feed or (*whose, day - DAY) in feed


def _charge_of(
    payment: Payment, charge_id: str | None, day: date, charges: dict[str, list[tuple[date, Payment]]]
) -> Payment | None:
    if payment.kind == "charge" or charge_id is None:
        return None
    told = [
        charge
        for on, charge in charges.get(charge_id, [])
        if on >= day - REACH and charge.currency == payment.currency
    ]
    return min(told, key=lambda c: (not _is_settled(c), c.occurred_at), default=None)


def _counted(
    payment: Payment,
    charge_id: str | None,
    day: date,
    charge: Payment | None,
    taken: dict[tuple[str, str], _Charge],
) -> Decimal:
    amount = cents(payment.amount)
    if payment.kind == "charge":
        return amount
    if charge_id is None:
        return amount if payment.status == "succeeded" else ZERO
    ledger = taken.setdefault((charge_id, payment.kind), _Charge())
    told, returned = ledger.so_far(day)
    limit = None
    if charge is not None:
        limit = (cents(charge.amount) if _is_settled(charge) else ZERO) + returned
    if payment.status == "succeeded":
        ledger.taken.append((day, amount))
        return amount if limit is None else min(amount, max(limit - told, ZERO))
    ledger.returned.append((day, amount))
    return min(amount, max((told if limit is None else min(told, limit)) - returned, ZERO))


def _reason(
    payment: Payment, charge: Payment | None, counted: Decimal, is_twice: bool, is_test: bool
) -> str | None:
    amount = cents(payment.amount)
    if is_test:
        return "test_account"
    if payment.status == "pending":
        return "pending"
    if payment.status == "failed":
        return "dispute_won" if payment.kind == "dispute" else "failed"
    if is_twice:
        return "told_by_notification" if payment.source == "payments" else "told_by_payments"
    if counted == amount:
        return None
    if payment.status == "reversed":
        return "beyond_taken" if counted else "nothing_taken"
    if charge is not None and (not _is_settled(charge) or cents(charge.amount) == 0):
        return "charge_not_paid"
    if counted:
        return "beyond_charge"
    return "already_disputed" if payment.kind == "dispute" else "already_refunded"


def _judged(
    payment: Payment,
    charge_id: str | None,
    day: date,
    charge: Payment | None,
    counted: Decimal,
    is_twice: bool,
    lives: dict[str, Life],
    accounts: Accounts,
    prices: Prices,
) -> Paid:
    charged_at = charge.occurred_at if charge else payment.occurred_at
    life = lives.get(payment.subscription_id)
    period = _period(life, charged_at) if life else None
    standing = period.standing if period else None
    account_id = (standing.account_id if standing else None) or payment.account_id
    holder = accounts.on(account_id, day) if account_id else None
    provider = period.opening.deciding.provider if period else None
    if payment.source != "payments":
        provider = payment.source
    market = holder.market if holder else "ZZ"
    is_test = holder is not None and holder.is_excluded
    if is_test:
        counted = ZERO
    tenure_days = 0
    if life and period and life.started_at and life.started_at < charged_at:
        tenure_days = (charged_at.date() - life.started_at.date()).days
    plan_id = standing.plan_id if standing else None
    untaxed = prices.untaxed(counted, plan_id, payment.currency, market, charged_at.date())
    fee = prices.fee(provider, charged_at.date(), tenure_days)
    is_kept = payment.kind != "charge" and not (fee and fee.is_returned)
    net = untaxed - cents(untaxed * (0 if is_kept or not fee else fee.basis_points) / 10_000)
    sign = -1 if payment.kind != "charge" and payment.status != "reversed" else 1
    rate = prices.usd_rate(payment.currency, day)
    return Paid(
        day, payment, charge_id, _reason(payment, charge, counted, is_twice, is_test),
        holder.account_id if holder else None, provider, market, plan_id, prices.kind(plan_id),
        _acquisition(life, period),
        _cash(sign, counted, untaxed, net),
        _cash(sign, in_usd(counted, rate), in_usd(untaxed, rate), in_usd(net, rate)),
    )  # fmt: skip


def _cash(sign: int, amount: Decimal | None, untaxed: Decimal | None, net: Decimal | None) -> Cash:
    if amount is None or untaxed is None or net is None:
        return Cash(*(None if each is None else sign * each for each in (amount, None, None, net)))
    return Cash(sign * amount, sign * (amount - untaxed), sign * (untaxed - net), sign * net)


def _period(life: Life, at: object) -> Period | None:
    """The one in force, or of a charge before the life the first one of its day."""
    before = [period for period in life.periods if period.since <= at]  # type: ignore[operator]
    if before:
        return before[-1]
    later = [period for period in life.periods if period.since.date() <= at.date()]  # type: ignore[attr-defined]
    return later[0] if later else None


def _acquisition(life: Life | None, period: Period | None) -> str | None:
    if life is None or period is None:
        return None
    openings = [
        each
        for each in life.periods
        if each.since <= period.since and each.opening.deciding.event_type in OPENINGS
    ]
    return openings[-1].opening.deciding.offer_id if openings else None


def payment_rows(payments: Iterable[Paid], window: Window) -> list[Row]:
    """The mart's rows of the run's days."""
    return [
        {
            "payment_date": each.day,
            "payment_id": each.payment.shown_id,
            "account_id": each.account_id,
            "subscription_id": each.payment.subscription_id,
            "provider": each.provider,
            "market": each.market,
            "plan_id": each.plan_id,
            "plan_kind": each.plan_kind,
            "acquisition_offer_id": each.offer_id,
            "payment_kind": each.payment.kind,
            "payment_status": each.payment.status,
            "refunded_payment_id": each.charge_id,
            "currency": each.payment.currency,
            "amount": each.payment.amount,
            "is_counted": each.is_counted,
            "not_counted_reason": each.reason,
            "counted_amount": each.cash.amount,
            "vat_amount": each.cash.vat,
            "fee_amount": each.cash.fee,
            "net_amount": each.cash.net,
            "amount_usd_amount": each.cash_usd.amount,
            "vat_usd_amount": each.cash_usd.vat,
            "fee_usd_amount": each.cash_usd.fee,
            "net_usd_amount": each.cash_usd.net,
            "occurred_at": each.payment.occurred_at,
            "source": each.payment.source,
        }
        for each in payments
        if window.start <= each.day <= window.end
    ]
