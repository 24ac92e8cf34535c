"""What a small company delivers: raw rows as they arrive, and the catalogue that they refer to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Event:
    """A delivery of a canonical subscription event."""

    provider: str
    provider_event_id: str
    subscription_id: str
    event_type: str
    occurred_at: datetime
    ingested_at: datetime
    account_id: str | None = None
    plan_id: str | None = None
    price_amount: Decimal | None = None
    is_price_unknown: bool | None = None
    currency: str | None = None
    interval: str | None = None
    interval_count: int | None = None
    trial_ends_at: datetime | None = None
    period_start_at: datetime | None = None
    period_end_at: datetime | None = None
    auto_renew: bool | None = None
    reason: str | None = None
    offer_id: str | None = None
    export_name: str | None = None
    export_covers: str | None = None
    landing_row: int = 0

    @property
    def arrival_date(self) -> date:
        return self.ingested_at.date()


@dataclass(frozen=True)
class AccountVersion:
    """An account as one delivery describes it."""

    account_id: str
    market: str
    ingested_at: datetime
    created_at: datetime
    is_test: bool = False
    is_employee: bool = False
    merged_into: str | None = None

    @property
    def arrival_date(self) -> date:
        return self.ingested_at.date()


@dataclass(frozen=True)
class Membership:
    """A stay of an account in a subscription; a later delivery of the same stay brings its end."""

    subscription_id: str
    account_id: str
    role: str
    joined_at: datetime
    ingested_at: datetime
    left_at: datetime | None = None


@dataclass(frozen=True)
class Payment:
    """A charge, refund or dispute: a row of the payments feed, or an event of Stripe that tells it."""

    payment_id: str
    subscription_id: str
    kind: str
    amount: Decimal
    status: str
    occurred_at: datetime
    ingested_at: datetime
    refunded_payment_id: str | None = None
    currency: str = "EUR"
    source: str = "payments"
    account_id: str | None = None
    """Of an event of Stripe: whom its metadata names."""
    landing_row: int = 0

    @property
    def shown_id(self) -> str:
        """As the mart names it."""
        if self.source == "payments":
            return self.payment_id
        return f"{self.source}:{self.payment_id}{':reversed' if self.status == 'reversed' else ''}"

    @property
    def shown_charge_id(self) -> str | None:
        """The charge that it takes back, as the mart names it."""
        if self.refunded_payment_id is None or self.source == "payments":
            return self.refunded_payment_id
        return f"{self.source}:{self.refunded_payment_id}"


@dataclass(frozen=True)
class Company:
    """Everything that one company delivers; companies of different names share no identifier."""

    events: tuple[Event, ...] = ()
    accounts: tuple[AccountVersion, ...] = ()
    members: tuple[Membership, ...] = ()
    payments: tuple[Payment, ...] = ()

    def named(self, prefix: str) -> Company:
        """The same company with every identifier of its own under a prefix."""

        def own(name: str | None) -> str | None:
            return None if name is None else prefix + name

        def renamed(rows: tuple[Any, ...], *fields: str) -> tuple[Any, ...]:
            return tuple(replace(row, **{f: own(getattr(row, f)) for f in fields}) for row in rows)

        return Company(
            renamed(self.events, "provider_event_id", "subscription_id", "account_id", "export_name"),
            renamed(self.accounts, "account_id", "merged_into"),
            renamed(self.members, "subscription_id", "account_id"),
            renamed(self.payments, "payment_id", "subscription_id", "refunded_payment_id", "account_id"),
        )


@dataclass(frozen=True)
class Plan:
    """A plan of the catalogue."""

    plan_id: str
    kind: str
    interval: str
    interval_count: int | None = None

    @property
    def rhythm(self) -> tuple[str, int]:
        return self.interval, self.interval_count or 1


@dataclass(frozen=True)
class ListPrice:
    """A list price from a day on; a later delivery of the same day corrects it."""

    plan_id: str
    market: str
    currency: str
    valid_from: date
    price_amount: Decimal
    tax_inclusive: bool
    ingested_at: datetime


@dataclass(frozen=True)
class Rate:
    """US dollars per unit of a currency from a day on; a later delivery of the same day corrects it."""

    day: date
    currency: str
    usd_rate: Decimal
    ingested_at: datetime


@dataclass(frozen=True)
class VatRate:
    """Basis points of VAT from a day on."""

    market: str
    valid_from: date
    basis_points: int


@dataclass(frozen=True)
class ProviderFee:
    """Basis points that a provider keeps from a day on, from a tenure on."""

    provider: str
    valid_from: date
    from_tenure_days: int
    basis_points: int
    is_returned: bool = True


@dataclass(frozen=True)
class Catalogue:
    """What all companies of a warehouse share."""

    plans: tuple[Plan, ...]
    prices: tuple[ListPrice, ...]
    rates: tuple[Rate, ...]
    vat: tuple[VatRate, ...]
    fees: tuple[ProviderFee, ...]


@dataclass(frozen=True)
class Window:
    """The days of a run, both inclusive, the last arrival day it knows and the first."""

    start: date
    end: date
    as_of: date
    history_start: date
    renewal_tolerance_days: int = 30

    def knows(self, arrival_date: date) -> bool:
        """Whether what arrived on the day is read by the run."""
        return self.history_start <= arrival_date <= self.as_of
