"""Hypothesis strategies for whole small companies: few subscriptions, some weeks, all that goes wrong.

Times lie on a coarse grid, so that events coincide with each other, with midnights and with ends of periods.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, get_args

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from loaders.landing.values import Provider
from tests.dbt.reference.company import (
    AccountVersion,
    Catalogue,
    Company,
    Event,
    ListPrice,
    Membership,
    Payment,
    Plan,
    ProviderFee,
    Rate,
    VatRate,
    Window,
)
from tests.dbt.reference.exported import exported
from tests.dbt.reference.instants import RANK

PROVIDERS: tuple[str, ...] = get_args(Provider)
"""Providers whose events come in canonical words."""

WINDOW = Window(
    start=date(2026, 2, 24), end=date(2026, 3, 14), as_of=date(2026, 3, 16), history_start=date(2026, 1, 12)
)
"""Five weeks before the first day, for lives that end within it; a first of a month inside."""

BEGINS = datetime(2026, 1, 10, tzinfo=UTC)
LAST_DAY = (date(2026, 3, 17) - BEGINS.date()).days
HOURS = (0, 0, 0, 10, 10, 23)
DAY = timedelta(days=1)

MARKETS = ("SE", "DE", "JP", "US")


def catalogue(fees: tuple[ProviderFee, ...], vat: tuple[VatRate, ...]) -> Catalogue:
    """Plans, prices and rates that change, are corrected and are missing; fees and VAT are the project's."""

    def rate(day: date, currency: str, usd_rate: str, arrives: date | None = None) -> Rate:
        arrived = datetime.combine(arrives or day, datetime.min.time(), UTC) + timedelta(hours=6)
        return Rate(day, currency, Decimal(usd_rate), arrived)

    def price(
        plan: str, market: str, currency: str, since: date, amount: str, taxed: bool,
        arrives: date = date(2026, 1, 12),
    ) -> ListPrice:  # fmt: skip
        arrived = datetime.combine(arrives, datetime.min.time(), UTC) + timedelta(hours=6)
        return ListPrice(plan, market, currency, since, Decimal(amount), taxed, arrived)

    return Catalogue(
        plans=(
            Plan("solo", "individual", "month"),
            Plan("home", "family", "month"),
            Plan("year", "individual", "year"),
            Plan("week", "basic", "week"),
            Plan("quarter", "individual", "month", 3),
        ),
        prices=(
            price("solo", "SE", "EUR", date(2026, 1, 1), "9.99", True),
            price("solo", "US", "USD", date(2026, 1, 1), "9.99", False),
            price("solo", "DE", "EUR", date(2026, 1, 1), "9.99", False),
            price("solo", "DE", "EUR", date(2026, 3, 3), "10.99", True),
            price("home", "JP", "JPY", date(2026, 3, 1), "1480", False),
            # Delivered again, corrected, known too late for the first days, and in a second currency.
            price("solo", "SE", "EUR", date(2026, 1, 1), "9.99", True, arrives=date(2026, 2, 27)),
            price("solo", "SE", "EUR", date(2026, 1, 1), "8.99", True, arrives=date(2026, 3, 6)),
            price("year", "SE", "EUR", date(2026, 2, 20), "89.90", True, arrives=date(2026, 3, 2)),
            price("solo", "US", "EUR", date(2026, 3, 8), "11.49", False, arrives=date(2026, 3, 4)),
            price("week", "JP", "JPY", date(2026, 2, 1), "480", False),
            price("quarter", "SE", "EUR", date(2026, 1, 1), "26.99", True),
        ),
        rates=(
            rate(date(2026, 1, 12), "EUR", "1.125"),
            rate(date(2026, 2, 26), "EUR", "1.080001"),
            rate(date(2026, 3, 5), "EUR", "1.2"),
            # A correction, and a rate that arrives late.
            rate(date(2026, 3, 5), "EUR", "1.15", arrives=date(2026, 3, 7)),
            rate(date(2026, 3, 9), "EUR", "1.1", arrives=date(2026, 3, 12)),
            rate(date(2026, 1, 12), "JPY", "0.006667"),
            rate(date(2026, 3, 10), "JPY", "0.0067"),
            # Unknown before March.
            rate(date(2026, 3, 2), "GBP", "1.25"),
        ),
        vat=vat,
        fees=fees,
    )


def _terms(
    plan: str | None, price: str | None, currency: str | None, interval: str | None, count: int | None = None
) -> dict[str, Any]:
    amount = None if price is None else Decimal(price)
    return {
        "plan_id": plan, "price_amount": amount, "currency": currency,
        "interval": interval, "interval_count": count,
    }  # fmt: skip


TERMS = (
    _terms("solo", "9.99", "EUR", "month"),
    _terms("solo", "10.99", "EUR", "month"),
    _terms("home", "14.99", "EUR", None),
    _terms("year", "99.90", "EUR", "year"),
    _terms("year", "99.66", "USD", None),
    _terms("week", "2.99", "GBP", "week"),
    _terms("quarter", "27.99", "EUR", "month", 3),
    _terms("week", "9.98", "EUR", "week", 4),
    _terms("solo", "9.99", "EUR", "day", 30),
    _terms("quarter", None, None, None),
    _terms("quarter", None, "EUR", "month", 3),
    _terms("year", None, None, "month", 12),
    # A count without what it counts says nothing.
    _terms("year", "239.80", "EUR", None, 2),
    _terms("home", "1480", "JPY", "month"),
    _terms("solo", "0", "USD", "month"),
    _terms("ghost", "5", "EUR", "month"),
    _terms("ghost", "5", "CHF", None),
    _terms("solo", None, None, None),
    _terms("solo", None, "EUR", "month"),
    _terms("home", None, "JPY", None),
    _terms("year", None, None, None),
    _terms("year", None, None, "month"),
    _terms("week", None, "USD", "week"),
    _terms("solo", "9.99", None, "month"),
    _terms("ghost", None, None, None),
    _terms("solo", None, "EUR", None) | {"is_price_unknown": True},
    _terms("home", None, None, "month") | {"is_price_unknown": True},
    # A price that is told is known.
    _terms("solo", "4.99", "EUR", None) | {"is_price_unknown": True},
)
"""What an opening says; ``ghost`` is in no catalogue, CHF has no rate; the catalogue may know a price."""

CHANGED_TERMS = (
    *({},) * 8,
    *TERMS,
    {"price_amount": Decimal("8.49")},
    {"is_price_unknown": True},
    {"currency": "JPY", "price_amount": Decimal(980)},
    {"plan_id": "home"},
    {"interval": "year"},
)

PAID_DAYS = (None, None, 30, 30, 14, 7, 7, 1, 0)
STARTED_DAYS_AGO = (None, None, None, 0, 7, 30)
REASONS = (
    None,
    None,
    None,
    "voluntary",
    "payment_failure",
    "admin",
    "refund",
    "fraud",
    "other",
    "moved_away",
)
AUTO_RENEW = (None, None, None, True, False, False)

# Hours from an event to its arrival; a clock that runs ahead makes it arrive before it happened.
DELAYS = (1, 1, 1, 0, 3, -12, 24, 30, 49, 150, 336)

# Another delivery: hours after the first, and what it says differently.
REDELIVERIES: tuple[tuple[int, dict[str, Any]] | None, ...] = (
    *(None,) * 8,
    (0, {}),
    (2, {}),
    (26, {}),
    (120, {}),
    (26, {"price_amount": Decimal("1.11")}),
    (49, {"occurred_at": timedelta(hours=14)}),
)

FOLLOWS: dict[str, tuple[str, ...]] = {
    "trial_started": ("trial_converted", "auto_renew_off", "expired", "trial_converted", "plan_changed"),
    "started": (
        "renewed",
        "plan_changed",
        "auto_renew_off",
        "grace_started",
        "paused",
        "refunded",
        "expired",
    ),
    "reactivated": ("renewed", "auto_renew_off", "expired", "price_changed"),
    "trial_converted": (
        "renewed",
        "grace_started",
        "auto_renew_off",
        "billing_retry_started",
        "refunded",
        "expired",
        "plan_changed",
    ),
    "renewed": ("renewed", "auto_renew_off", "billing_retry_started", "price_changed", "expired"),
    "plan_changed": ("renewed", "auto_renew_off", "expired"),
    "price_changed": ("renewed", "auto_renew_off", "auto_renew_on"),
    "auto_renew_off": ("expired", "auto_renew_on", "expired"),
    "auto_renew_on": ("renewed", "auto_renew_off"),
    "billing_retry_started": ("recovered", "expired", "grace_started"),
    "grace_started": ("recovered", "billing_retry_started", "expired"),
    "recovered": ("renewed", "auto_renew_off", "expired"),
    "paused": ("resumed", "expired"),
    "resumed": ("renewed", "paused"),
    "refunded": ("revoked", "refund_reversed", "expired"),
    "refund_reversed": ("renewed", "expired"),
    "revoked": ("reactivated", "refund_reversed"),
    "expired": ("reactivated", "started", "trial_started", "renewed"),
}
"""What usually comes next."""

TYPES = tuple(RANK)
GAPS = (0, 0, 1, 1, 2, 3, 5, 7, 7, 14, 30)


class _Chooser:
    """Choices of a seeded source.

    A company is one draw: hundreds of draws each would cost more than the rest of the test, and what fails is
    made small by whole builds of smaller companies, not by Hypothesis.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def of(self, options: tuple[Any, ...]) -> Any:
        return self._random.choice(options)

    def pair(self, first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, Any]:
        return self.of(first), self.of(second)

    def chance(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def exported(self, subscription_ids: tuple[str, ...], account_ids: tuple[str, ...]) -> list[Event]:
        return exported(self._random, subscription_ids, account_ids, BEGINS, LAST_DAY)


def _events(
    choose: _Chooser, subscription_id: str, account_ids: tuple[str, ...], providers: tuple[str, ...]
) -> list[Event]:
    provider = choose.of(providers)
    days, hour = choose.pair(tuple(range(0, LAST_DAY, 3)), HOURS)
    at = BEGINS + DAY * days + timedelta(hours=hour)
    # One life in four does not begin at its beginning.
    opening = choose.of((*("started",) * 4, *("trial_started",) * 4, "reactivated", *TYPES[3:5], *TYPES[5:]))
    account_id = choose.of(account_ids)
    events: list[Event] = []
    last = opening
    for number in range(choose.of((1, 2, 3, 4, 5, 6, 8))):
        if number == 0:
            event_type, said = opening, choose.of(TERMS)
        else:
            event_type = choose.of(FOLLOWS[last] * 2 + ("renewed", *TYPES[number % 3 :: 3]))
            gap, hour = choose.pair(GAPS, HOURS)
            # One event in four at the instant of the one before it, as in a feed that knows days only.
            at = at if (gap == 0 and hour == 0) or choose.chance(4) else (at + DAY * gap).replace(hour=hour)
            said = choose.of(CHANGED_TERMS)
        last = event_type
        if choose.chance(8):
            account_id = choose.of(account_ids)
        if choose.chance(12) and number:
            # It happened, and nobody was told.
            continue
        events += _deliveries(choose, _event(
            choose, provider, subscription_id, account_id, event_type, at, said, number
        ))  # fmt: skip
    if len(providers) > 1 and choose.chance(10) and events:
        # Another feed claims the same subscription.
        other = choose.of(providers)
        events.append(replace(events[-1], provider=other, event_type="started"))
    return [event for event in events if event.occurred_at.date() <= WINDOW.as_of + DAY]


def _event(
    choose: _Chooser,
    provider: str,
    subscription_id: str,
    account_id: str,
    event_type: str,
    at: datetime,
    said: dict[str, Any],
    number: int,
) -> Event:
    paid_days, days_ago = choose.pair(PAID_DAYS, STARTED_DAYS_AGO)
    delay, auto_renew = choose.pair(DELAYS, AUTO_RENEW)
    reason, tie = choose.pair(REASONS, (9, 1, 5))
    paid_until = None if paid_days is None else at + DAY * paid_days
    is_trial = event_type == "trial_started"
    return Event(
        provider=provider,
        provider_event_id=f"{subscription_id}-{tie}{number}",
        subscription_id=subscription_id,
        event_type=event_type,
        occurred_at=at,
        ingested_at=at + timedelta(hours=delay),
        account_id=account_id,
        trial_ends_at=paid_until if is_trial else None,
        period_end_at=None if is_trial else paid_until,
        period_start_at=None if days_ago is None else at - DAY * days_ago,
        auto_renew={"auto_renew_off": False, "auto_renew_on": True}.get(event_type, auto_renew),
        reason=reason,
        offer_id="winback" if number == 0 and tie == 1 else None,
        **said,
    )


def _deliveries(choose: _Chooser, event: Event) -> list[Event]:
    again = choose.of(REDELIVERIES)
    if again is None:
        return [event]
    hours, other = again
    changed = dict(other)
    if "occurred_at" in changed:
        changed["occurred_at"] = event.occurred_at + changed["occurred_at"]
    ingested_at = event.ingested_at + timedelta(hours=hours)
    return [event, replace(event, **changed, ingested_at=ingested_at)]


def _accounts(choose: _Chooser, account_ids: tuple[str, ...]) -> list[AccountVersion]:
    versions = []
    for account_id in account_ids:
        # One account in six is in no feed.
        for _ in range(choose.of((0, 1, 1, 1, 2, 3))):
            days, market = choose.pair(tuple(range(0, LAST_DAY, 4)), MARKETS)
            fate, hour = choose.pair((None, None, None, None, None, "test", "employee", *account_ids), HOURS)
            at = BEGINS + DAY * days + timedelta(hours=hour)
            versions.append(
                AccountVersion(
                    account_id, market, at, at, fate == "test", fate == "employee",
                    fate if fate in account_ids and fate != account_id else None,
                )
            )  # fmt: skip
    return versions


def _members(choose: _Chooser, subscription_id: str, account_ids: tuple[str, ...]) -> list[Membership]:
    found = []
    for _ in range(choose.of((0, 0, 0, 1, 2))):
        account_id, role = choose.pair(account_ids, ("member", "member", "payer"))
        days, hour = choose.pair(tuple(range(20, LAST_DAY, 3)), HOURS)
        joined_at = BEGINS + DAY * days + timedelta(hours=hour)
        found.append(
            Membership(subscription_id, account_id, role, joined_at, joined_at + timedelta(hours=1))
        )  # fmt: skip
        stay, hour = choose.pair((None, 0, 1, 4, 9), HOURS)
        if stay is not None:
            left_at = max(joined_at, (joined_at + DAY * stay).replace(hour=hour))
            found.append(replace(found[-1], left_at=left_at, ingested_at=left_at + timedelta(hours=5)))
    return found


def _payments(choose: _Chooser, subscription_id: str, account_ids: tuple[str, ...]) -> list[Payment]:
    """Charges of the feed, some told by Stripe too or alone, with what is taken back of them."""
    found: list[Payment] = []
    for number in range(choose.of((0, 0, 1, 2, 3))):
        days, hour = choose.pair(tuple(range(2, LAST_DAY, 3)), HOURS)
        at = BEGINS + DAY * days + timedelta(hours=hour)
        name = f"{subscription_id}-p{number}"
        amount, currency = choose.of(AMOUNTS)
        charge = Payment(
            name, subscription_id, "charge", Decimal(amount),
            choose.of(("succeeded", "succeeded", "succeeded", "failed", "pending")),
            at, at + timedelta(hours=2), currency=currency,
        )  # fmt: skip
        feed = [charge]
        if charge.status != "succeeded" and choose.chance(2):
            # Another try, or the bank's answer.
            later = at + DAY * choose.of((0, 0, 1, 5))
            feed.append(
                replace(charge, status="succeeded", occurred_at=later, ingested_at=later + timedelta(hours=3))
            )  # fmt: skip
        feed += _taken_back(choose, charge)
        told_by = choose.of(("payments", "payments", "payments", "stripe", "both"))
        if told_by != "stripe":
            found += feed
        if told_by != "payments":
            # The same, told over midnight, or the day after.
            shifted = timedelta(hours=choose.of((0, 0, 0, -1, 1, 24, -24, 48)))
            found += [
                replace(
                    each, source="stripe", account_id=choose.of(account_ids),
                    payment_id=f"n{each.payment_id}",
                    refunded_payment_id=each.refunded_payment_id and f"n{each.refunded_payment_id}",
                    occurred_at=each.occurred_at + shifted, ingested_at=each.ingested_at + shifted,
                )
                for each in feed
                # Refunds are events of the subscription as well; what fails is told by an id of its own.
                if each.kind != "refund" and (each.kind != "charge" or each.status == "succeeded")
                and each.status != "failed" and each.amount
            ]  # fmt: skip
            won = [each for each in found if each.source == "stripe" and each.kind == "dispute"]
            if won and choose.chance(2):
                back = won[-1].occurred_at + DAY * choose.of((0, 1, 4))
                found.append(
                    replace(won[-1], status="reversed", occurred_at=back, ingested_at=back + DAY)
                )  # fmt: skip
    return [
        replace(each, landing_row=n)
        for n, each in enumerate(found, start=1)
        if each.occurred_at.date() <= WINDOW.as_of + DAY
    ]


AMOUNTS = (("9.99", "EUR"), ("9.99", "EUR"), ("10.01", "EUR"), ("1480", "JPY"), ("5", "CHF"), ("0", "EUR"))


def _taken_back(choose: _Chooser, charge: Payment) -> list[Payment]:
    whole = str(charge.amount)
    found = []
    for n, (kind, after, amount, status) in enumerate(
        choose.of((
            (), (), (),
            (("refund", 3, whole, "succeeded"),),
            (("refund", 3, "5", "succeeded"), ("refund", 13, "4.99", "succeeded")),
            # Twice, and beyond what was charged.
            (("refund", 0, whole, "succeeded"), ("refund", 0, whole, "succeeded")),
            (("refund", 1, "6", "succeeded"), ("refund", 2, "7", "succeeded")),
            (("dispute", 2, whole, "succeeded"),),
            (("dispute", 2, whole, "succeeded"), ("dispute", 4, whole, "succeeded")),
            (("refund", 1, whole, "succeeded"), ("dispute", 9, whole, "failed")),
            (("dispute", 1, whole, "pending"),),
        ))
    ):  # fmt: skip
        back = charge.occurred_at + DAY * after
        # Yen have no decimals.
        taken = Decimal(amount) if charge.currency != "JPY" else Decimal(amount).quantize(Decimal(1))
        found.append(
            replace(
                charge, payment_id=f"{charge.payment_id}-r{n}", kind=kind, amount=taken, status=status,
                occurred_at=back, ingested_at=back + timedelta(hours=2),
                refunded_payment_id=charge.payment_id,
            )
        )  # fmt: skip
        if status == "pending" and choose.chance(2):
            lost = back + DAY * 4
            told = lost + timedelta(hours=2)
            found.append(replace(found[-1], status="succeeded", occurred_at=lost, ingested_at=told))
    return found


@st.composite
def companies(draw: st.DrawFn, providers: tuple[str, ...] = PROVIDERS) -> Company:
    """A company of one to five accounts with one to three subscriptions."""
    choose = _Chooser(draw(st.randoms(use_true_random=True)))
    account_ids = ("a1", "a2", "a3", "a4", "a5")[: choose.of((1, 2, 2, 2, 3, 3, 5))]
    events: list[Event] = []
    members: list[Membership] = []
    payments: list[Payment] = []
    for subscription_id in ("s1", "s2", "s3")[: choose.of((1, 1, 2, 2, 3))]:
        theirs = _events(choose, subscription_id, account_ids, providers)
        events += theirs
        members += _members(choose, subscription_id, account_ids)
        if choose.chance(2) or any(event.event_type == "trial_started" for event in theirs):
            payments += _payments(choose, subscription_id, account_ids)
    if "periods" in providers and choose.chance(5):
        events += choose.exported(("x1", "x2", "x3")[: choose.of((1, 1, 2, 3))], account_ids)
    numbered = tuple(replace(event, landing_row=row) for row, event in enumerate(events, start=1))
    return Company(numbered, tuple(_accounts(choose, account_ids)), tuple(members), tuple(payments))


def generated(count: int, of_seed: int, providers: tuple[str, ...] = PROVIDERS) -> list[Company]:
    """As many random companies, the same ones for the same seed."""
    found: list[Company] = []

    @seed(of_seed)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(companies(providers))
    def collect(company: Company) -> None:
        found.append(company)

    collect()
    return found
