"""App Store Server Notifications V2, decoded."""

from __future__ import annotations

from local.company.notifications.event import Event, Json, milliseconds
from local.company.spec import DAY_US


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
        "purchaseDate": milliseconds(event.period_start_at),
        "expiresDate": milliseconds(event.period_end_at),
        "type": "Auto-Renewable Subscription",
        "inAppOwnershipType": "PURCHASED",
        "appAccountToken": event.account_id,
        "price": (event.price_amount or 0) * 10,
        "currency": event.currency,
    }
    if event.plan_id is None:
        transaction |= _earlier_period(event)
    if event.offer_id:
        transaction |= {"offerType": 2, "offerIdentifier": event.offer_id}
    if event.event_type == "trial_started":
        transaction["offerDiscountType"] = "FREE_TRIAL"
    if event.event_type in ("refunded", "revoked"):
        transaction |= {"revocationDate": milliseconds(event.occurred_at), "revocationReason": 0}
    payload: Json = {
        "notificationType": kind,
        "notificationUUID": event.provider_event_id,
        "version": "2.0",
        "signedDate": milliseconds(event.occurred_at),
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


def _earlier_period(event: Event) -> Json:
    """What a refund that ends nothing is of: a month that is over, of whatever plan."""
    end = event.occurred_at - 30 * DAY_US
    return {
        "productId": "student-month",
        "purchaseDate": milliseconds(end - 30 * DAY_US),
        "expiresDate": milliseconds(end),
        "price": 5_990,
        "currency": "USD",
    }


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
