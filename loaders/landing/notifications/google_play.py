"""Google Play: the real-time developer notification and the purchase as the receiver fetched it.

https://developer.android.com/google/play/billing/rtdn-reference and
https://developers.google.com/android-publisher/api-ref/rest/v3/purchases.subscriptionsv2.
A notification says only that something happened; who bought what until when is in the purchase.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from loaders.landing.currencies import problem_of_units
from loaders.landing.instants import CALENDAR_DAY, TIME_OF_DAY
from loaders.landing.notifications.payload import (
    CurrencyCode,
    Flag,
    Identifier,
    NamedAt,
    Payload,
    SureWhen,
    Whole,
    broken,
)
from loaders.warehouse.erasures import SubjectKind

PurchaseToken = Annotated[str, Field(min_length=1, max_length=1024)]
NotificationType = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 19, 20, 22]
"""SUBSCRIPTION_RECOVERED … SUBSCRIPTION_PRICE_STEP_UP_CONSENT_UPDATED; 14–16 and 21 are not documented."""
SubscriptionState = Literal[
    "SUBSCRIPTION_STATE_UNSPECIFIED",
    "SUBSCRIPTION_STATE_PENDING",
    "SUBSCRIPTION_STATE_ACTIVE",
    "SUBSCRIPTION_STATE_PAUSED",
    "SUBSCRIPTION_STATE_IN_GRACE_PERIOD",
    "SUBSCRIPTION_STATE_ON_HOLD",
    "SUBSCRIPTION_STATE_CANCELED",
    "SUBSCRIPTION_STATE_EXPIRED",
    "SUBSCRIPTION_STATE_PENDING_PURCHASE_CANCELED",
]
_EXTERNAL_IDS: tuple[tuple[SubjectKind, str], ...] = (
    ("account", "obfuscatedExternalAccountId"),
    ("subscription", "obfuscatedExternalProfileId"),
)
_IDS: Final = ("externalAccountIdentifiers", "outOfAppPurchaseContext.expiredExternalAccountIdentifiers")


_SECOND: Final = len("2026-01-01T00:00:00")


def _of_the_calendar(text: str) -> str:
    _instant(text)
    return text


def _instant(text: str) -> datetime:
    """To the microsecond: protobuf timestamps may have nine decimals, of which Python leaves three out."""
    return datetime.fromisoformat(text)


Timestamp = Annotated[
    str,
    Field(pattern=r"^(200[5-9]|20[1-9]\d|2[1-9]\d\d)-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"),
    AfterValidator(_of_the_calendar),
    SureWhen(rf"(?=200[5-9]|20[1-9]|2[1-9]){CALENDAR_DAY}T{TIME_OF_DAY}(?:\.[0-9]{{1,9}})?Z"),
]
"""RFC 3339 in UTC, as protobuf's JSON writes it; from 2005 on."""


class SubscriptionNotification(Payload):
    """Something happened to a subscription."""

    notificationType: NotificationType
    purchaseToken: PurchaseToken


class VoidedPurchaseNotification(Payload):
    """Money went back; ``productType`` 1 is a subscription, 2 a one-time product."""

    purchaseToken: PurchaseToken
    productType: Literal[1, 2]
    refundType: Literal[1, 2]


class OneTimeProductNotification(Payload):
    """A one-time product was bought (1) or its pending purchase cancelled (2)."""

    notificationType: Literal[1, 2]


class DeveloperNotification(Payload):
    """The decoded ``data`` of the Pub/Sub message; exactly one of its notifications is present."""

    names = tuple(
        NamedAt("subscription", f"{notification}.purchaseToken")
        for notification in (
            "subscriptionNotification",
            "voidedPurchaseNotification",
            "oneTimeProductNotification",
        )
    )

    subscriptionNotification: SubscriptionNotification | None = None
    voidedPurchaseNotification: VoidedPurchaseNotification | None = None
    oneTimeProductNotification: OneTimeProductNotification | None = None
    testNotification: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        notifications = (
            self.subscriptionNotification,
            self.voidedPurchaseNotification,
            self.oneTimeProductNotification,
            self.testNotification,
        )
        if notifications.count(None) != len(notifications) - 1:
            raise broken(
                "has not exactly one of subscriptionNotification, voidedPurchaseNotification, "
                "oneTimeProductNotification and testNotification"
            )
        return self

    @property
    def is_about_a_subscription(self) -> bool:
        """Whether the purchase must be known to say what it means."""
        voided = self.voidedPurchaseNotification
        return self.subscriptionNotification is not None or (voided is not None and voided.productType == 1)

    @property
    def needs_account(self) -> bool:
        """See ``Payload``; the account is in the purchase."""
        return self.is_about_a_subscription


class Money(Payload):
    """``units`` and billionths; protobuf's JSON leaves out what is zero."""

    currencyCode: CurrencyCode
    units: Annotated[str, Field(pattern=r"^\d{1,11}$")] = "0"
    nanos: Annotated[int, Field(strict=True, ge=0, lt=10**9)] = Field(0, validate_default=True)

    @field_validator("nanos")
    @classmethod
    def _is_of_the_currency(cls, nanos: int, info: ValidationInfo) -> int:
        units = int(info.data.get("units", 0))
        if problem := problem_of_units(units * 10**9 + nanos, 9, info.data.get("currencyCode")):
            raise broken(f"after units {info.data.get('units', 0)} {problem}")
        return nanos


class PriceChangeDetails(Payload):
    """A price change under way; it is paid from the renewal on that applies it."""

    newPrice: Money
    priceChangeState: Literal[
        "PRICE_CHANGE_STATE_UNSPECIFIED", "OUTSTANDING", "CONFIRMED", "APPLIED", "CANCELED"
    ]


class InstallmentDetails(Payload):
    """Monthly payments that the buyer is committed to."""

    remainingCommittedPaymentsCount: Whole = 0


class AutoRenewingPlan(Payload):
    """Whether it renews, and what a renewal costs by itself: before offers, without taxes that are added."""

    repeats = True

    autoRenewEnabled: Flag = False
    recurringPrice: Money | None = None
    priceChangeDetails: PriceChangeDetails | None = None
    installmentDetails: InstallmentDetails | None = None


class OfferDetails(Payload):
    """What the item was bought as: a base plan of the product, and the offer."""

    basePlanId: Identifier | None = None
    offerId: Identifier | None = None


class ProrationPeriod(Payload):
    """A period that a change of plan cut or stretched; what was interrupted by it goes on in it."""

    originalOfferPhaseType: (
        Literal["ORIGINAL_OFFER_PHASE_TYPE_UNSPECIFIED", "BASE", "INTRODUCTORY", "FREE_TRIAL"] | None
    ) = None


class OfferPhase(Payload):
    """The phase that the item is in now; purchases of before 2025 do not tell it."""

    basePrice: dict[str, Any] | None = None
    freeTrial: dict[str, Any] | None = None
    introductoryPrice: dict[str, Any] | None = None
    prorationPeriod: ProrationPeriod | None = None


class ItemReplacement(Payload):
    """What the item took the place of."""

    productId: Identifier
    basePlanId: Identifier | None = None


class LineItem(Payload):
    """A product: the subscription itself, then its add-ons, or what will replace it, which has no end yet.

    Add-ons have the subscription's rhythm:
    https://developer.android.com/google/play/billing/subscription-with-addons.
    """

    productId: Identifier
    expiryTime: Timestamp | None = None
    autoRenewingPlan: AutoRenewingPlan | None = None
    prepaidPlan: dict[str, Any] | None = None
    offerDetails: OfferDetails | None = None
    offerPhase: OfferPhase | None = None
    itemReplacement: ItemReplacement | None = None
    deferredItemReplacement: dict[str, Any] | None = None


class ExternalAccountIdentifiers(Payload):
    """The service's own ids, given at the purchase: the account, and the subscription as its profile."""

    obfuscatedExternalAccountId: Identifier | None = None
    obfuscatedExternalProfileId: Identifier | None = None


class OutOfAppPurchaseContext(Payload):
    """A subscription taken up again in the Play Store: the ids are those of the expired one.

    It is there until the purchase is acknowledged:
    https://developers.google.com/android-publisher/api-ref/rest/v3/purchases.subscriptionsv2.
    """

    expiredExternalAccountIdentifiers: ExternalAccountIdentifiers | None = None


class CanceledStateContext(Payload):
    """Who ended it."""

    userInitiatedCancellation: dict[str, Any] | None = None
    systemInitiatedCancellation: dict[str, Any] | None = None
    developerInitiatedCancellation: dict[str, Any] | None = None
    replacementCancellation: dict[str, Any] | None = None


class SubscriptionPurchase(Payload):
    """SubscriptionPurchaseV2 as it was right after the notification."""

    names = (
        *(NamedAt(kind, f"{ids}.{key}") for ids in _IDS for kind, key in _EXTERNAL_IDS),
        NamedAt("subscription", "linkedPurchaseToken"),
        NamedAt("subscription", "outOfAppPurchaseContext.expiredPurchaseToken"),
    )

    subscriptionState: SubscriptionState
    startTime: Timestamp | None = None
    lineItems: Annotated[list[LineItem], Field(min_length=1)]
    linkedPurchaseToken: PurchaseToken | None = None
    outOfAppPurchaseContext: OutOfAppPurchaseContext | None = None
    externalAccountIdentifiers: ExternalAccountIdentifiers | None = None
    canceledStateContext: CanceledStateContext | None = None

    @field_validator("lineItems")
    @classmethod
    def _ends_after_its_start_and_adds_up(cls, items: list[LineItem], info: ValidationInfo) -> list[LineItem]:
        start, end = info.data.get("startTime"), items[0].expiryTime
        # To the second the texts tell which is earlier.
        if start and end and end[:_SECOND] <= start[:_SECOND] and _instant(end) < _instant(start):
            raise broken(f"expiryTime {end} is before startTime {start}")
        if len(items) == 1:
            return items
        plans = (item.autoRenewingPlan for item in items)
        prices = (plan.recurringPrice for plan in plans if plan)
        if len(currencies := {price.currencyCode for price in prices if price}) > 1:
            raise broken(f"has prices in {' and '.join(sorted(currencies))}, which do not add up")
        return items

    @property
    def names_nobody(self) -> bool:
        """See ``Payload``."""
        ids, context = self.externalAccountIdentifiers, self.outOfAppPurchaseContext
        if ids is None or ids.obfuscatedExternalAccountId is None:
            ids = context.expiredExternalAccountIdentifiers if context else None
        return ids is None or ids.obfuscatedExternalAccountId is None
