"""Stripe events of subscriptions, invoices and charges."""

from __future__ import annotations

from local.company.notifications.event import SECOND_US, Event, Json, seconds, smallest_unit


def stripe(event: Event) -> Json:
    """The event object."""
    kind = _STRIPE_TYPES.get(event.event_type, f"customer.subscription.{event.event_type}")
    metadata = {"account_id": event.account_id}
    if event.offer_id:
        metadata["offer_id"] = event.offer_id
    previous: Json | None = None
    if event.event_type == "refunded":
        object_: Json = {
            "id": f"ch_{event.provider_event_id}",
            "object": "charge",
            "refunded": True,
            "metadata": metadata | {"subscription_id": event.subscription_id},
        }
    elif event.event_type == "renewed":
        object_ = _stripe_invoice(event, metadata)
    else:
        object_ = _stripe_subscription(event, metadata)
        previous = _stripe_previous(event)
    data: Json = {"object": object_}
    if previous:
        data["previous_attributes"] = previous
    return {
        "id": event.provider_event_id,
        "object": "event",
        "created": event.occurred_at // SECOND_US,
        "livemode": True,
        "type": kind,
        "data": data,
    }


def _stripe_subscription(event: Event, metadata: Json) -> Json:
    ended = event.event_type in ("expired", "revoked")
    return {
        "id": event.subscription_id,
        "object": "subscription",
        "status": _STRIPE_STATUS.get(event.event_type, "active"),
        "metadata": metadata,
        "cancel_at_period_end": not ended and event.auto_renew is False,
        "trial_end": seconds(event.trial_ends_at),
        "pause_collection": {"behavior": "void"} if event.event_type == "paused" else None,
        "cancellation_details": {"reason": _STRIPE_ENDS.get(event.reason or "") if ended else None},
        "items": {
            "data": [
                {
                    "quantity": 1,
                    "current_period_start": seconds(event.period_start_at),
                    "current_period_end": seconds(event.period_end_at),
                    "price": _stripe_price(event, event.plan_id, event.currency),
                }
            ]
        },
    }


def _stripe_price(event: Event, plan: str | None, currency: str | None) -> Json:
    return {
        "id": f"price_{plan}_{currency}",
        "product": plan,
        "currency": (currency or "").lower(),
        "unit_amount": smallest_unit(event),
        "recurring": {"interval": event.interval, "interval_count": event.interval_count},
    }


def _stripe_previous(event: Event) -> Json | None:
    match event.event_type:
        case "trial_converted":
            return {"status": "trialing"}
        case "grace_started":
            return {"status": "active"}
        case "billing_retry_started" | "recovered":
            return {"status": "past_due"}
        case "paused":
            return {"pause_collection": None}
        case "resumed":
            return {"pause_collection": {"behavior": "void"}}
        case "auto_renew_off":
            return {"cancel_at_period_end": False}
        case "auto_renew_on":
            return {"cancel_at_period_end": True}
        case "plan_changed":
            before = _stripe_price(event, event.plan_before, event.currency_before)
            return {"items": {"data": [{"price": before}]}}
    return None


def _stripe_invoice(event: Event, metadata: Json) -> Json:
    return {
        "id": f"in_{event.provider_event_id}",
        "object": "invoice",
        "billing_reason": "subscription_cycle",
        "currency": (event.currency or "").lower(),
        "amount_due": smallest_unit(event),
        "amount_paid": smallest_unit(event),
        "parent": {"subscription_details": {"subscription": event.subscription_id, "metadata": metadata}},
        "lines": {
            "data": [
                {
                    "amount": smallest_unit(event),
                    "discount_amounts": [],
                    "period": {
                        "start": seconds(event.period_start_at),
                        "end": seconds(event.period_end_at),
                    },
                    "pricing": {"price_details": {"product": event.plan_id}},
                    "parent": {"subscription_item_details": {"proration": False}},
                }
            ]
        },
    }


_STRIPE_TYPES = {
    "trial_started": "customer.subscription.created",
    "started": "customer.subscription.created",
    "renewed": "invoice.paid",
    "refunded": "charge.refunded",
    "revoked": "customer.subscription.deleted",
    "expired": "customer.subscription.deleted",
} | dict.fromkeys(
    (
        "trial_converted",
        "plan_changed",
        "auto_renew_off",
        "auto_renew_on",
        "billing_retry_started",
        "grace_started",
        "recovered",
        "paused",
        "resumed",
    ),
    "customer.subscription.updated",
)
_STRIPE_STATUS = {
    "trial_started": "trialing",
    "grace_started": "past_due",
    "billing_retry_started": "unpaid",
    "expired": "canceled",
    "revoked": "canceled",
}
_STRIPE_ENDS = {
    "voluntary": "cancellation_requested",
    "payment_failure": "payment_failed",
    "fraud": "payment_disputed",
}
