"""A period of a billing export, and the rows of the landing contracts that it is told in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from loaders.landing.period_times import midnight
from loaders.landing.rhythm import Rhythm
from loaders.landing.values import ExportCovers

Row = dict[str, str]

_LONGEST_ID: Final = 128
"""Characters that the contract allows an id."""


@dataclass(frozen=True)
class Period:
    """One row of the export, read; ``[start, end)`` in UTC, without an end while it is open."""

    row: int
    payload: Row
    subscription_id: str
    account_id: str
    start: datetime
    end: datetime | None
    plan: str
    plan_kind: str
    rhythm: Rhythm
    price: Decimal
    currency: str
    is_trial: bool
    auto_renew: bool | None
    reason: str | None

    @property
    def plan_id(self) -> str:
        """A plan is what is paid in one rhythm."""
        every = "" if self.rhythm.count == 1 else f"{self.rhythm.count}-"
        return f"{self.plan}-{every}{self.rhythm.interval}".lower()

    @property
    def terms(self) -> tuple[str, Decimal, str]:
        """What a change of plan changes."""
        return self.plan_id, self.price, self.currency


def spelled(at: datetime) -> str:
    """An instant for a sentence or an id: the UTC day alone where it is the day's first."""
    return f"{at:%Y-%m-%d}" if at == midnight(at.date()) else at.isoformat().replace("+00:00", "Z")


def arrival_of(happened: datetime, arrival_date: date | None) -> datetime:
    """When a row arrives: at the beginning of the export's day, or, where it has none, as it happens."""
    return midnight(arrival_date) if arrival_date else happened


def event_values(
    period: Period,
    kind: str,
    happened: datetime,
    arrival_date: date | None,
    export: tuple[str, ExportCovers] | None = None,
) -> dict[str, Any]:
    """A subscription event of the period, as part of what ``export`` says, if it is.

    Its id is made of what it is about and nothing else: the same fact has it in every export, in whatever row
    and however the period is called (a start, where the one before is no longer named).
    """
    name, covers = export or (None, None)
    edge = "end" if kind == "expired" else "start"
    values: dict[str, Any] = {
        "ingested_at": arrival_of(happened, arrival_date),
        "provider": "periods",
        "provider_event_id": _identity(f"{period.subscription_id}:{spelled(happened)}:{edge}"),
        "subscription_id": period.subscription_id,
        "account_id": period.account_id,
        "event_type": kind,
        "period_start_at": period.start,
        "period_end_at": period.end,
        "export_name": name,
        "export_covers": covers,
        "occurred_at": happened,
    }
    if kind == "expired":
        return values | {"reason": period.reason}
    return values | {
        "plan_id": period.plan_id,
        "price_amount": period.price,
        "currency": period.currency,
        "interval": period.rhythm.interval,
        "interval_count": period.rhythm.count,
        "trial_ends_at": period.end if period.is_trial else None,
        "auto_renew": period.auto_renew,
    }


def _identity(fact: str) -> str:
    """The fact itself, or its digest where it is too long for an id."""
    return fact if len(fact) <= _LONGEST_ID else sha256(fact.encode()).hexdigest()


def plan_values(period: Period, arrival: datetime) -> dict[str, Any]:
    """The plan that the period is on."""
    return {
        "ingested_at": arrival,
        "plan_id": period.plan_id,
        "kind": period.plan_kind,
        "interval": period.rhythm.interval,
        "interval_count": period.rhythm.count,
        "trial_days": 0,
        "seats": 1,
    }
