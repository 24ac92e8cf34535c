"""Google Play's real-time developer notifications."""

from __future__ import annotations

from local.company.notifications.event import Event, Json, rfc3339


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
    offer: Json = {"basePlanId": (event.plan_id or "").partition("-")[2]}
    if event.offer_id:
        offer["offerId"] = event.offer_id
    item: Json = {
        "productId": event.plan_id,
        "expiryTime": rfc3339(event.period_end_at),
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
        "startTime": rfc3339(event.period_start_at),
        "subscriptionState": f"SUBSCRIPTION_STATE_{_GOOGLE_STATES.get(event.event_type, 'ACTIVE')}",
        "lineItems": [item],
    }
    if event.event_type == "reactivated":
        purchase["outOfAppPurchaseContext"] = {"expiredExternalAccountIdentifiers": ids}
    else:
        purchase["externalAccountIdentifiers"] = ids
    if event.event_type == "plan_changed":
        item["itemReplacement"] = {"productId": event.plan_before}
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
