"""A canonical event in plain values, and its numbers as providers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

Json = dict[str, Any]
SECOND_US = 1_000_000


class Event(NamedTuple):
    """A canonical event in plain values: instants in microseconds since 1970, the price in hundredths.

    ``plan_before`` and ``currency_before`` are those of the subscription's event before.
    """

    provider_event_id: str
    subscription_id: str
    account_id: str
    event_type: str
    plan_id: str | None
    price_amount: int | None
    currency: str | None
    interval: str | None
    interval_count: int | None
    trial_ends_at: int | None
    period_start_at: int | None
    period_end_at: int | None
    auto_renew: bool | None
    reason: str | None
    offer_id: str | None
    occurred_at: int
    plan_before: str | None
    currency_before: str | None
    list_price: int | None = None


def smallest_unit(event: Event) -> int:
    """The price in the smallest unit of its currency: the yen has no hundredths."""
    return (event.price_amount or event.list_price or 0) // (100 if event.currency == "JPY" else 1)


def seconds(microseconds: int | None) -> int | None:
    """Seconds since 1970."""
    return None if microseconds is None else microseconds // SECOND_US


def milliseconds(microseconds: int | None) -> int | None:
    """Milliseconds since 1970."""
    return None if microseconds is None else microseconds // 1000


def rfc3339(microseconds: int | None) -> str | None:
    """An instant as text, in whole seconds."""
    if microseconds is None:
        return None
    return f"{datetime.fromtimestamp(microseconds // SECOND_US, UTC):%Y-%m-%dT%H:%M:%SZ}"
