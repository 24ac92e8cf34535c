"""Landing contracts of what billing providers send, and of whose their customers are.

``account_id`` beside a payload is the account that the receiver knows; it counts before what the payload
says.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from loaders.landing.notifications import envelopes, relevance
from loaders.landing.notifications.app_store import AppStorePayload
from loaders.landing.notifications.google_play import DeveloperNotification, SubscriptionPurchase
from loaders.landing.notifications.google_play_order import Order
from loaders.landing.notifications.payload import JsonOf
from loaders.landing.notifications.stripe import StripeEvent
from loaders.landing.row import EventTime, GivenWhen, LandingRow, NotAfterArrival, PayerNamed, RequiredWhen
from loaders.landing.values import Identifier


class ProviderMessage(LandingRow):
    """What every provider's message has: the time at which it was sent, what it says, and who is meant."""

    event_time = "occurred_at"

    occurred_at: EventTime
    payload: str
    account_id: Identifier | None = None


class GooglePlayNotification(ProviderMessage):
    """A real-time developer notification, with the purchase and the order that the receiver fetched."""

    table = "google_play_notifications"
    key = ("message_id",)
    rules = (
        NotAfterArrival("occurred_at"),
        RequiredWhen("purchase", payload="payload", says="is_about_a_subscription"),
        PayerNamed("google_play", payload="payload"),
    )
    message_kind = relevance.GOOGLE_PLAY
    delivered = envelopes.GOOGLE_PLAY

    message_id: Identifier
    payload: Annotated[str, JsonOf(DeveloperNotification)]
    purchase: Annotated[str, JsonOf(SubscriptionPurchase)] | None = None
    latest_order: Annotated[str, JsonOf(Order)] | None = None


class AppStoreNotification(ProviderMessage):
    """An App Store Server Notification V2 whose payload, transaction and renewal info are decoded."""

    table = "app_store_notifications"
    key = ("notification_uuid",)
    rules = (NotAfterArrival("occurred_at"), PayerNamed("app_store", payload="payload"))
    message_kind = relevance.APP_STORE
    delivered = envelopes.APP_STORE

    notification_uuid: Identifier
    payload: Annotated[str, JsonOf(AppStorePayload)]
    signature: Literal["verified", "not_verified"] | None = None


class StripeEventRow(ProviderMessage):
    """A Stripe event object."""

    table = "stripe_events"
    key = ("event_id",)
    rules = (NotAfterArrival("occurred_at"), PayerNamed("stripe", payload="payload"))
    message_kind = relevance.STRIPE
    delivered = envelopes.STRIPE

    event_id: Identifier
    payload: Annotated[str, JsonOf(StripeEvent)]


class ProviderAccount(LandingRow):
    """Whose a provider's customer is, for purchases that do not carry the account.

    Stripe's customers have ids of their own. The stores tell only the subscription: ``subscription_id`` is
    the App Store's original transaction id, Google Play's purchase token or obfuscated profile id.
    """

    table = "provider_accounts"
    key = ("provider", "customer_id", "subscription_id")
    rules = (
        GivenWhen("customer_id", "provider", ("stripe",)),
        GivenWhen("subscription_id", "provider", ("google_play", "app_store")),
    )
    may_be_absent = True

    provider: Literal["google_play", "app_store", "stripe"]
    customer_id: Identifier | None = None
    subscription_id: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    account_id: Identifier
