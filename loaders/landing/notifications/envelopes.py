"""How the billing providers' messages come over the wire.

- Stripe posts the event object: https://docs.stripe.com/api/events/object.
- Google Play publishes to Pub/Sub, whose push has the notification as base64 in ``message.data``:
  https://cloud.google.com/pubsub/docs/push and https://developer.android.com/google/play/billing/rtdn-reference.
- The App Store posts ``signedPayload``, a JSON Web Signature, which holds others for the transaction and the
  renewal: https://developer.apple.com/documentation/appstoreservernotifications/responsebodyv2.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from loaders.landing.delivery import PAYLOAD, Delivered, DeliveryError, Message, Receipt

_SIGNED_INSIDE: Final = {"signedTransactionInfo": "transactionInfo", "signedRenewalInfo": "renewalInfo"}


def _open_stripe(event: Mapping[str, Any], _receipt: Receipt) -> Message:
    created = _instant(event.get("created"), per_second=1)
    return Message(event, _id(event.get("id")), occurred_at=created, sent_at=created)


def _open_google_play(came: Mapping[str, Any], _receipt: Receipt) -> Message:
    envelope = came.get("message")
    if not isinstance(envelope, dict):
        happened = _instant(came.get("eventTimeMillis"), per_second=1_000)
        return Message(came, _digest(came) if happened else None, occurred_at=happened, sent_at=happened)
    notification = _decoded(envelope.get("data"))
    published = _published(envelope.get("publishTime") or envelope.get("publish_time"))
    happened = _instant(notification.get("eventTimeMillis"), per_second=1_000) or published
    return Message(
        notification,
        _id(envelope.get("messageId") or envelope.get("message_id")),
        occurred_at=happened,
        sent_at=published or happened,
    )


def _open_app_store(came: Mapping[str, Any], receipt: Receipt) -> Message:
    signatures = []
    payload: Mapping[str, Any] = came
    if "signedPayload" in came:
        outer = receipt.open_signed(f"{PAYLOAD}.signedPayload", came["signedPayload"])
        signatures.append(outer.is_verified)
        payload = outer.content
    data = payload.get("data")
    if isinstance(data, dict):
        inner = {}
        for signed, decoded in _SIGNED_INSIDE.items():
            if data.get(signed) is not None and data.get(decoded) is None:
                opened = receipt.open_signed(f"{PAYLOAD}.data.{signed}", data[signed])
                signatures.append(opened.is_verified)
                inner[decoded] = opened.content
        if inner:
            rest = {name: value for name, value in data.items() if name not in _SIGNED_INSIDE}
            payload = {**payload, "data": rest | inner}
        if signatures and receipt.app_store_bundle_ids:
            _check_app(data, f"{PAYLOAD}.data", receipt.app_store_bundle_ids)
            for name, content in inner.items():
                _check_app(content, f"{PAYLOAD}.data.{name}", receipt.app_store_bundle_ids)
    signed_at = _instant(payload.get("signedDate"), per_second=1_000)
    said = {True: "verified", False: "not_verified"}
    return Message(
        payload,
        _id(payload.get("notificationUUID")),
        occurred_at=signed_at,
        sent_at=signed_at,
        besides={"signature": said[all(signatures)] if signatures else None},
    )


def _check_app(signed: Mapping[str, Any], path: str, bundle_ids: frozenset[str]) -> None:
    """The App Store signs for everybody's apps, and says for which; of a renewal it does not.

    https://developer.apple.com/documentation/appstoreservernotifications/bundleid.
    """
    told = signed.get("bundleId")
    if told is not None and told not in bundle_ids:
        raise DeliveryError(f"{path}.bundleId", "is none of SEGUE_APP_STORE_BUNDLE_IDS")


def _decoded(data: Any) -> dict[str, Any]:
    try:
        notification = json.loads(b64decode(data, validate=True))
    except (TypeError, ValueError, RecursionError) as error:
        raise DeliveryError(f"{PAYLOAD}.message.data", "is not JSON in base64") from error
    if not isinstance(notification, dict):
        raise DeliveryError(f"{PAYLOAD}.message.data", "is not a JSON object in base64")
    return notification


def _digest(notification: Mapping[str, Any]) -> str:
    """An id of a notification that came without its envelope: the same whenever it is delivered again."""
    return hashlib.sha256(json.dumps(notification, sort_keys=True).encode()).hexdigest()


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _instant(value: Any, per_second: int) -> datetime | None:
    """A time since 1970; protobuf's JSON writes a long as a text. What is none is left to the contract."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        seconds, rest = divmod(int(value), per_second)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * (1_000_000 // per_second))
    except (ValueError, OverflowError, OSError):
        return None


def _published(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        published = datetime.fromisoformat(value)
    except ValueError:
        return None
    return published.astimezone(UTC) if published.tzinfo else None


_ALWAYS: Final = {"occurred_at", PAYLOAD, "account_id", "ingested_at"}
STRIPE: Final = Delivered(
    id_column="event_id",
    columns=frozenset({"event_id", *_ALWAYS}),
    keys=frozenset({"type", "data"}),
    wrapping=(),
    open_message=_open_stripe,
)
GOOGLE_PLAY: Final = Delivered(
    id_column="message_id",
    columns=frozenset({"message_id", "purchase", "latest_order", *_ALWAYS}),
    keys=frozenset(
        {
            "message",
            "subscriptionNotification",
            "voidedPurchaseNotification",
            "oneTimeProductNotification",
            "pendingRefundReviewNotification",
            "testNotification",
        }
    ),
    wrapping=("message",),
    open_message=_open_google_play,
)
APP_STORE: Final = Delivered(
    id_column="notification_uuid",
    columns=frozenset({"notification_uuid", "signature", *_ALWAYS}),
    keys=frozenset({"signedPayload", "notificationType"}),
    wrapping=("signedPayload", *_SIGNED_INSIDE),
    open_message=_open_app_store,
)
