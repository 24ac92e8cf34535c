"""What each provider can say of an event, and the landing table that it says it in."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

EVENT_TABLE = {
    "google_play": "google_play_notifications",
    "app_store": "app_store_notifications",
    "stripe": "stripe_events",
    "periods": "subscription_events",
}
CANNOT_PAUSE = ("app_store",)
CANNOT_RETURN = ("stripe",)
"""A subscription of theirs that has ended stays so."""
_STRIPE_TELLS_THE_PRICE = ("trial_started", "started", "trial_converted", "plan_changed", "renewed")
_NOT_ON_A_REFUND = (
    "plan_id", "price_amount", "currency", "interval", "interval_count", "period_start_at", "period_end_at",
)  # fmt: skip
_NOT_ON_A_CHARGE = (*_NOT_ON_A_REFUND, "auto_renew")
_BEGINS_A_TERM = ("trial_started", "started", "reactivated", "renewed", "plan_changed")


def by_landing_table(events: pa.Table) -> dict[str, pa.Table]:
    """Canonical events by landing table, with what the provider leaves out left out."""
    return {
        table: _as_told(provider, events.filter(pc.equal(events["provider"], provider)))
        for provider, table in EVENT_TABLE.items()
    }


def _as_told(provider: str, events: pa.Table) -> pa.Table:
    if provider == "google_play":
        events = _renamed(events, {"trial_converted": "renewed", "resumed": "recovered"})
        # The store says when the subscription was bought, not when its current period began.
        events = _set(events, "period_start_at", events["bought_at"])
        events = _with_reason(events, {"auto_renew_off": "voluntary", "refunded": "refund"})
        events = _without(events, "reason", pc.equal(events["reason"], "other"))
        # How often a product is paid whose base plans are not listed shows where a period begins.
        is_term = pc.is_in(events["event_type"], pa.array(_BEGINS_A_TERM))
        for column in ("interval", "interval_count"):
            events = _without(events, column, pc.invert(is_term))
    elif provider == "app_store":
        events = _renamed(events, {"trial_converted": "renewed"})
        events = _with_reason(events, {"refunded": "refund", "revoked": "refund"})
        # The transaction that is refunded need not be the one that the subscription stands at.
        for column in _NOT_ON_A_REFUND:
            events = _without(events, column, pc.equal(events["event_type"], "refunded"))
    elif provider == "stripe":
        events = _with_reason(events, {"refunded": "refund", "revoked": "fraud"})
        events = _without(events, "reason", pc.equal(events["reason"], "other"))
        for column in _NOT_ON_A_CHARGE:
            events = _without(events, column, pc.equal(events["event_type"], "refunded"))
        # The subscription says its price when that is news, and the invoice what was paid.
        unpriced = pc.invert(pc.is_in(events["event_type"], pa.array(_STRIPE_TELLS_THE_PRICE)))
        events = _without(events, "price_amount", unpriced)
        # An invoice pays a period; it says neither the rhythm nor whether another one follows.
        for column in ("interval", "interval_count", "auto_renew"):
            events = _without(events, column, pc.equal(events["event_type"], "renewed"))
    return events


def _set(events: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    return events.set_column(events.schema.get_field_index(column), column, values)


def _renamed(events: pa.Table, names: dict[str, str]) -> pa.Table:
    for canonical, told in names.items():
        same = pc.equal(events["event_type"], canonical)
        events = _set(events, "event_type", pc.if_else(same, told, events["event_type"]))
    return events


def _with_reason(events: pa.Table, reasons: dict[str, str]) -> pa.Table:
    for event_type, reason in reasons.items():
        same = pc.equal(events["event_type"], event_type)
        events = _set(events, "reason", pc.if_else(same, reason, events["reason"]))
    return events


def _without(events: pa.Table, column: str, mask: pa.ChunkedArray) -> pa.Table:
    values = events[column]
    null = pa.scalar(None, values.type)
    return _set(events, column, pc.if_else(pc.fill_null(mask, False), null, values))
