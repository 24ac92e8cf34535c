"""Canonical events as the providers would notify of them: pure functions from an event to its payload."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.company.columns import Ints

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
    trial_ends_at: int | None
    period_start_at: int | None
    period_end_at: int | None
    auto_renew: bool | None
    reason: str | None
    offer_id: str | None
    occurred_at: int
    plan_before: str | None
    currency_before: str | None


def google_play(event: Event) -> tuple[Json, Json]:
    """The real-time developer notification, and the purchase as it is right after it."""
    token = f"token-{event.subscription_id}"
    payload: Json = {
        "version": "1.0",
        "packageName": "com.example.music",
        "eventTimeMillis": str(event.occurred_at // 1000),
    }
    if event.event_type == "refunded":
        payload["voidedPurchaseNotification"] = {
            "purchaseToken": token,
            "orderId": f"GPA.{event.provider_event_id}",
            "productType": 1,
            "refundType": 1,
        }
    else:
        payload["subscriptionNotification"] = {
            "version": "1.0",
            "notificationType": _GOOGLE_TYPES.get(event.event_type, 99),
            "purchaseToken": token,
            "subscriptionId": event.plan_id,
        }
    units, hundredths = divmod(event.price_amount or 0, 100)
    price: Json = {"currencyCode": event.currency}
    if units:
        price["units"] = str(units)
    if hundredths:
        price["nanos"] = hundredths * 10_000_000
    renewing: Json = {"recurringPrice": price}
    if event.auto_renew:
        renewing["autoRenewEnabled"] = True
    offer: Json = {"basePlanId": event.interval}
    if event.offer_id:
        offer["offerId"] = event.offer_id
    item: Json = {
        "productId": event.plan_id,
        "expiryTime": _rfc3339(event.period_end_at),
        "autoRenewingPlan": renewing,
        "offerDetails": offer,
        "offerPhase": {"freeTrial": {}} if event.event_type == "trial_started" else {"basePrice": {}},
    }
    ids = {
        "obfuscatedExternalAccountId": event.account_id,
        "obfuscatedExternalProfileId": event.subscription_id,
    }
    purchase: Json = {
        "kind": "androidpublisher#subscriptionPurchaseV2",
        "startTime": _rfc3339(event.period_start_at),
        "subscriptionState": f"SUBSCRIPTION_STATE_{_GOOGLE_STATES.get(event.event_type, 'ACTIVE')}",
        "lineItems": [item],
    }
    if event.event_type == "reactivated":
        purchase["outOfAppPurchaseContext"] = {"expiredExternalAccountIdentifiers": ids}
    else:
        purchase["externalAccountIdentifiers"] = ids
    if event.event_type == "plan_changed":
        purchase["linkedPurchaseToken"] = f"{token}-before"
    if event.reason in _GOOGLE_ENDS and event.event_type in ("auto_renew_off", "expired"):
        purchase["canceledStateContext"] = {_GOOGLE_ENDS[event.reason]: {}}
    return payload, purchase


_GOOGLE_TYPES = {
    "recovered": 1,
    "renewed": 2,
    "auto_renew_off": 3,
    "trial_started": 4,
    "started": 4,
    "reactivated": 4,
    "plan_changed": 4,
    "billing_retry_started": 5,
    "grace_started": 6,
    "auto_renew_on": 7,
    "paused": 10,
    "revoked": 12,
    "expired": 13,
}
_GOOGLE_STATES = {
    "auto_renew_off": "CANCELED",
    "billing_retry_started": "ON_HOLD",
    "grace_started": "IN_GRACE_PERIOD",
    "paused": "PAUSED",
    "revoked": "EXPIRED",
    "expired": "EXPIRED",
}
_GOOGLE_ENDS = {
    "voluntary": "userInitiatedCancellation",
    "payment_failure": "systemInitiatedCancellation",
}


def app_store(event: Event) -> Json:
    """The decoded notification with its transaction and renewal info."""
    if event.event_type == "expired":
        kind, subtype = "EXPIRED", _APPLE_ENDS.get(event.reason or "")
    else:
        kind, subtype = _APPLE_TYPES.get(event.event_type, (event.event_type.upper(), None))
    transaction: Json = {
        "transactionId": event.provider_event_id,
        "originalTransactionId": event.subscription_id,
        "bundleId": "com.example.music",
        "productId": event.plan_id,
        "purchaseDate": _milliseconds(event.period_start_at),
        "expiresDate": _milliseconds(event.period_end_at),
        "type": "Auto-Renewable Subscription",
        "inAppOwnershipType": "PURCHASED",
        "appAccountToken": event.account_id,
        "price": (event.price_amount or 0) * 10,
        "currency": event.currency,
    }
    if event.offer_id:
        transaction |= {"offerType": 2, "offerIdentifier": event.offer_id}
    if event.event_type == "trial_started":
        transaction["offerDiscountType"] = "FREE_TRIAL"
    if event.event_type in ("refunded", "revoked"):
        transaction |= {"revocationDate": _milliseconds(event.occurred_at), "revocationReason": 0}
    payload: Json = {
        "notificationType": kind,
        "notificationUUID": event.provider_event_id,
        "version": "2.0",
        "signedDate": _milliseconds(event.occurred_at),
        "data": {
            "bundleId": "com.example.music",
            "environment": "Production",
            "status": _APPLE_STATUS.get(event.event_type, 1),
            "transactionInfo": transaction,
            "renewalInfo": {
                "originalTransactionId": event.subscription_id,
                "autoRenewProductId": event.plan_id,
                "autoRenewStatus": int(bool(event.auto_renew)),
            },
        },
    }
    if subtype:
        payload["subtype"] = subtype
    return payload


_APPLE_TYPES: dict[str, tuple[str, str | None]] = {
    "trial_started": ("SUBSCRIBED", "INITIAL_BUY"),
    "started": ("SUBSCRIBED", "INITIAL_BUY"),
    "reactivated": ("SUBSCRIBED", "RESUBSCRIBE"),
    "renewed": ("DID_RENEW", None),
    "recovered": ("DID_RENEW", "BILLING_RECOVERY"),
    "auto_renew_off": ("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED"),
    "auto_renew_on": ("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_ENABLED"),
    "plan_changed": ("DID_CHANGE_RENEWAL_PREF", "UPGRADE"),
    "grace_started": ("DID_FAIL_TO_RENEW", "GRACE_PERIOD"),
    "billing_retry_started": ("GRACE_PERIOD_EXPIRED", None),
    "refunded": ("REFUND", None),
    "revoked": ("REFUND", None),
}
_APPLE_ENDS = {
    "voluntary": "VOLUNTARY",
    "payment_failure": "BILLING_RETRY",
    "other": "PRODUCT_NOT_FOR_SALE",
}
_APPLE_STATUS = {"expired": 2, "billing_retry_started": 3, "grace_started": 4, "revoked": 5}


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
        "trial_end": _seconds(event.trial_ends_at),
        "pause_collection": {"behavior": "void"} if event.event_type == "paused" else None,
        "cancellation_details": {"reason": _STRIPE_ENDS.get(event.reason or "") if ended else None},
        "items": {
            "data": [
                {
                    "quantity": 1,
                    "current_period_start": _seconds(event.period_start_at),
                    "current_period_end": _seconds(event.period_end_at),
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
        "unit_amount": _smallest_unit(event),
        "recurring": {"interval": event.interval, "interval_count": 1},
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
        "parent": {"subscription_details": {"subscription": event.subscription_id, "metadata": metadata}},
        "lines": {
            "data": [
                {
                    "amount": _smallest_unit(event),
                    "discount_amounts": [],
                    "period": {
                        "start": _seconds(event.period_start_at),
                        "end": _seconds(event.period_end_at),
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


def _smallest_unit(event: Event) -> int:
    return (event.price_amount or 0) // (100 if event.currency == "JPY" else 1)


def _seconds(microseconds: int | None) -> int | None:
    return None if microseconds is None else microseconds // SECOND_US


def _milliseconds(microseconds: int | None) -> int | None:
    return None if microseconds is None else microseconds // 1000


def _rfc3339(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return f"{datetime.fromtimestamp(microseconds // SECOND_US, UTC):%Y-%m-%dT%H:%M:%SZ}"


def landing_rows(table: str, events: pa.Table) -> pa.Table:
    """Canonical rows of one provider in the columns of its landing contract; others stay as they are."""
    if table not in _BUILDERS:
        return events
    id_column, build = _BUILDERS[table]
    payloads = [build(event) for event in _events(events)]
    columns = {
        id_column: events["provider_event_id"],
        "occurred_at": events["occurred_at"],
        "ingested_at": events["ingested_at"],
        "payload": pa.array([_text(payload) for payload, _ in payloads], pa.string()),
    }
    if table == "google_play_notifications":
        columns["purchase"] = pa.array([_text(purchase) for _, purchase in payloads], pa.string())
    return pa.table(columns)


_BUILDERS: dict[str, tuple[str, Callable[[Event], tuple[Json, Json]]]] = {
    "google_play_notifications": ("message_id", google_play),
    "app_store_notifications": ("notification_uuid", lambda event: (app_store(event), {})),
    "stripe_events": ("event_id", lambda event: (stripe(event), {})),
}


def _events(events: pa.Table) -> list[Event]:
    columns = []
    for name in Event._fields:
        column = events[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        elif pa.types.is_decimal(column.type):
            column = _hundredths(column)
        columns.append(column.to_pylist())
    return [Event(*values) for values in zip(*columns, strict=True)]


def _hundredths(amounts: pa.ChunkedArray) -> pa.Array:
    words = amounts.combine_chunks()
    cents: Ints = np.frombuffer(words.buffers()[1], "<i8")[::2][words.offset : words.offset + len(words)]
    whole = pa.array(cents // 10_000_000)
    return pc.if_else(words.is_valid(), whole, pa.scalar(None, pa.int64()))


def _text(payload: Json) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
