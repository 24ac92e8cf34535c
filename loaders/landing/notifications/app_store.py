"""App Store Server Notifications V2, decoded: ``transactionInfo`` and ``renewalInfo`` are no longer signed.

https://developer.apple.com/documentation/appstoreservernotifications/responsebodyv2decodedpayload; types and
subtypes as of https://developer.apple.com/documentation/appstoreservernotifications/notificationtype.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from loaders.landing.currencies import HIGHEST_CEILING, problem_of_units
from loaders.landing.notifications.payload import (
    CurrencyCode,
    Identifier,
    Milliseconds,
    NamedAt,
    Payload,
    Whole,
    broken,
)

SUBTYPES: dict[str, tuple[str | None, ...]] = {
    "SUBSCRIBED": ("INITIAL_BUY", "RESUBSCRIBE"),
    "DID_RENEW": (None, "BILLING_RECOVERY"),
    "DID_CHANGE_RENEWAL_STATUS": ("AUTO_RENEW_ENABLED", "AUTO_RENEW_DISABLED"),
    "DID_CHANGE_RENEWAL_PREF": (None, "UPGRADE", "DOWNGRADE"),
    "OFFER_REDEEMED": (None, "INITIAL_BUY", "RESUBSCRIBE", "UPGRADE", "DOWNGRADE"),
    "DID_FAIL_TO_RENEW": (None, "GRACE_PERIOD"),
    "GRACE_PERIOD_EXPIRED": (None,),
    "EXPIRED": (None, "VOLUNTARY", "BILLING_RETRY", "PRICE_INCREASE", "PRODUCT_NOT_FOR_SALE"),
    "PRICE_INCREASE": ("PENDING", "ACCEPTED"),
    "REFUND": (None,),
    "REFUND_REVERSED": (None,),
    "REFUND_DECLINED": (None,),
    "CONSUMPTION_REQUEST": (None,),
    "REVOKE": (None,),
    "RENEWAL_EXTENDED": (None,),
    "RENEWAL_EXTENSION": ("SUMMARY", "FAILURE"),
    "EXTERNAL_PURCHASE_TOKEN": ("UNREPORTED", "CREATED", "ACTIVE_TOKEN_REMINDER"),
    "ONE_TIME_CHARGE": (None,),
    "RESCIND_CONSENT": (None,),
    "TEST": (None,),
}
"""Every known type with the subtypes it comes with; None: without one."""
WITHOUT_TRANSACTION = ("EXTERNAL_PURCHASE_TOKEN", "RENEWAL_EXTENSION", "RESCIND_CONSENT", "TEST")
SUBSCRIPTION = "Auto-Renewable Subscription"


class CommitmentInfo(Payload):
    """Which of the payments of a commitment a transaction is.

    https://developer.apple.com/documentation/appstoreserverapi/transactioncommitmentinfo.
    """

    billingPeriodNumber: Whole | None = None
    totalBillingPeriods: Whole | None = None


class TransactionInfo(Payload):
    """The latest transaction; ``price`` in thousandths of ``currency``, for the period that it pays.

    ``offerDiscountType``, ``price`` and ``currency`` are told since App Store Server API 1.10 (October 2023),
    ``offerPeriod`` (an ISO 8601 duration: all of the offer) since 1.15 (February 2025), the billing plan and
    the commitment of what is billed monthly since 1.21 (April 2026):
    https://developer.apple.com/documentation/appstoreserverapi/app-store-server-api-changelog.
    """

    type: Literal["Auto-Renewable Subscription", "Non-Consumable", "Consumable", "Non-Renewing Subscription"]
    inAppOwnershipType: Literal["PURCHASED", "FAMILY_SHARED"]
    originalTransactionId: Identifier
    productId: Identifier
    purchaseDate: Milliseconds
    expiresDate: Milliseconds | None = Field(None, validate_default=True)
    appAccountToken: Identifier | None = None
    currency: CurrencyCode | None = None
    price: Annotated[int, Field(strict=True, ge=0, le=HIGHEST_CEILING * 1000)] | None = None
    offerType: Whole | None = None
    offerIdentifier: Identifier | None = None
    offerPeriod: Identifier | None = None
    billingPlanType: Literal["MONTHLY", "BILLED_UPFRONT"] | None = None
    commitmentInfo: CommitmentInfo | None = None
    previousOriginalTransactionId: Identifier | None = None
    offerDiscountType: Literal["FREE_TRIAL", "PAY_AS_YOU_GO", "PAY_UP_FRONT", "ONE_TIME"] | None = None

    @field_validator("expiresDate")
    @classmethod
    def _a_subscription_ends_after_its_start(cls, date: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("type") == SUBSCRIPTION and date is None:
            raise broken("is required for a subscription")
        if date is not None and date < info.data.get("purchaseDate", date):
            raise broken(f"is before purchaseDate {info.data['purchaseDate']}")
        return date

    @field_validator("price")
    @classmethod
    def _is_of_the_currency(cls, price: int | None, info: ValidationInfo) -> int | None:
        if price is not None and (problem := problem_of_units(price, 3, info.data.get("currency"))):
            raise broken(problem)
        return price

    @property
    def names_nobody(self) -> bool:
        """See ``Payload``."""
        return (
            self.type == SUBSCRIPTION
            and self.inAppOwnershipType == "PURCHASED"
            and self.appAccountToken is None
        )


class RenewalInfo(Payload):
    """What will happen at the end of the period."""

    autoRenewStatus: Literal[0, 1]


class Data(Payload):
    """The subscription's transaction and renewal; ``status`` 5 is revoked."""

    environment: Literal["Production", "Sandbox"]
    status: Literal[1, 2, 3, 4, 5] | None = None
    transactionInfo: TransactionInfo | None = None
    renewalInfo: RenewalInfo | None = None


class AppStorePayload(Payload):
    """responseBodyV2DecodedPayload, with its data decoded too."""

    names = (
        NamedAt("account", "data.transactionInfo.appAccountToken"),
        NamedAt("account", "data.renewalInfo.appAccountToken"),
        NamedAt("subscription", "data.transactionInfo.originalTransactionId"),
        NamedAt("subscription", "data.transactionInfo.previousOriginalTransactionId"),
        NamedAt("subscription", "data.renewalInfo.originalTransactionId"),
    )

    notificationType: Literal[
        "SUBSCRIBED",
        "DID_RENEW",
        "DID_CHANGE_RENEWAL_STATUS",
        "DID_CHANGE_RENEWAL_PREF",
        "OFFER_REDEEMED",
        "DID_FAIL_TO_RENEW",
        "GRACE_PERIOD_EXPIRED",
        "EXPIRED",
        "PRICE_INCREASE",
        "REFUND",
        "REFUND_REVERSED",
        "REFUND_DECLINED",
        "CONSUMPTION_REQUEST",
        "REVOKE",
        "RENEWAL_EXTENDED",
        "RENEWAL_EXTENSION",
        "EXTERNAL_PURCHASE_TOKEN",
        "ONE_TIME_CHARGE",
        "RESCIND_CONSENT",
        "TEST",
    ]
    subtype: str | None = Field(None, validate_default=True)
    data: Data | None = Field(None, validate_default=True)

    @property
    def needs_account(self) -> bool:
        """See ``Payload``: who shares a family's subscription is no payer; seats come with plan_members."""
        info = self.data.transactionInfo if self.data else None
        return info is not None and info.type == SUBSCRIPTION and info.inAppOwnershipType == "PURCHASED"

    @field_validator("subtype")
    @classmethod
    def _belongs_to_the_type(cls, subtype: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("notificationType")
        if kind is not None and subtype not in SUBTYPES[kind]:
            known = ", ".join(known or "none" for known in SUBTYPES[kind])
            raise broken(f"is not a subtype of {kind}, which has {known}")
        return subtype

    @field_validator("data")
    @classmethod
    def _has_a_transaction(cls, data: Data | None, info: ValidationInfo) -> Data | None:
        kind = info.data.get("notificationType")
        if kind not in (None, *WITHOUT_TRANSACTION) and (data is None or data.transactionInfo is None):
            raise broken(f"has no transactionInfo, which {kind} must have")
        return data
