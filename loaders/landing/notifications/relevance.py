"""What kinds of messages the billing providers send, and which of them say nothing of anybody's subscription.

Stripe: https://docs.stripe.com/api/events/types. Google Play:
https://developer.android.com/google/play/billing/rtdn-reference. App Store:
https://developer.apple.com/documentation/appstoreservernotifications/notificationtype, its environments
https://developer.apple.com/documentation/appstoreservernotifications/environment, and for the types of the
Advanced Commerce API https://developer.apple.com/documentation/advancedcommerceapi.
"""

from __future__ import annotations

from typing import Final, get_args

from loaders.landing.batch import Kind
from loaders.landing.kinds import KindOf
from loaders.landing.notifications.app_store import SUBTYPES
from loaders.landing.notifications.google_play import NotificationType
from loaders.landing.notifications.json_paths import OBJECT, Text
from loaders.landing.notifications.stripe import READ, EventKind, PaymentData

TEST: Final = "test"
"""Nobody pays: Stripe's test mode and sandboxes, Google's licence testers and test notifications, Apple's
sandbox, Xcode and local testing."""
NOT_A_SUBSCRIPTION: Final = "not about a subscription"
UNNAMED_PAYMENT: Final = "names no subscription of ours"
"""A charge, refund or dispute onto which the receiver copied neither id: nothing tells a payment of something
else from one of a subscription."""
NOTHING_PAID: Final = "nothing paid or used"
"""About a subscription, but not about what is paid for it or until when it can be used."""

_LONGEST_NAME: Final = 100
_UNNAMED: Final = Kind("unknown", is_known=False)

_STRIPE_SUBSCRIPTION_PLANS: Final = ("subscription_schedule.",)
"""What is planned for a subscription: when a phase begins, customer.subscription.updated tells it."""
_STRIPE_OTHERS: Final = (
    "account.",
    "application_fee.",
    "balance.",
    "balance_settings.",
    "billing.",
    "billing_portal.",
    "capability.",
    "cash_balance.",
    "checkout.session.",
    "climate.",
    "coupon.",
    "credit_note.",
    "customer.created",
    "customer.deleted",
    "customer.updated",
    "customer.bank_account.",
    "customer.card.",
    "customer.discount.",
    "customer.source.",
    "customer.tax_id.",
    "customer_cash_balance_transaction.",
    "entitlements.",
    "file.",
    "financial_connections.",
    "identity.",
    "invoice_payment.",
    "invoiceitem.",
    "issuing_",
    "mandate.",
    "payment_intent.",
    "payment_link.",
    "payment_method.",
    "payment_record.",
    "payout.",
    "person.",
    "plan.",
    "price.",
    "product.",
    "promotion_code.",
    "quote.",
    "radar.",
    "reporting.",
    "review.",
    "setup_intent.",
    "sigma.",
    "source.",
    "tax.",
    "tax_rate.",
    "terminal.",
    "test_helpers.",
    "topup.",
    "transfer.",
    "treasury.",
)
"""Beginnings of types: of whole resources, whatever will yet happen to them. Resources that are read
(subscriptions, invoices, charges, refunds) are not here: a new type of theirs is unknown."""
_RENEWAL_REASONS: Final = (
    "subscription_cycle",
    "subscription_create",
    "subscription_update",
    "quote_accept",
    "manual",
)


_PAYMENTS: Final = frozenset(kind for kind, data in READ.items() if data is PaymentData)


def _stripe(
    kind: str | None,
    livemode: bool | None,
    billing_reason: str | None,
    names_account: bool,
    names_subscription: bool,
) -> Kind:
    if kind is None:
        return _UNNAMED
    kind = kind[:_LONGEST_NAME]
    if livemode is False:
        return Kind(kind, ignored=TEST)
    if kind in _PAYMENTS and not (names_account or names_subscription):
        return Kind(kind, ignored=UNNAMED_PAYMENT)
    if kind in get_args(EventKind):
        # Invoices that renew are another matter than those that open a subscription.
        told = kind == "invoice.paid" and billing_reason in _RENEWAL_REASONS
        return Kind(f"{kind} ({billing_reason})" if told else kind)
    if kind.startswith(_STRIPE_SUBSCRIPTION_PLANS):
        return Kind(kind, ignored=NOTHING_PAID)
    if kind.startswith(_STRIPE_OTHERS):
        return Kind(kind, ignored=NOT_A_SUBSCRIPTION)
    return Kind(kind, is_known=False)


STRIPE: Final = KindOf(
    {
        "payload.type": str,
        "payload.livemode": bool,
        "payload.data.object.billing_reason": str,
        "payload.data.object.metadata.account_id": Text,
        "payload.data.object.metadata.subscription_id": Text,
    },
    _stripe,
)

_PENDING_PURCHASE_CANCELED: Final = 20
"""Nothing was bought; the token has no purchase that anybody could fetch any more."""
_ONE_TIME_PRODUCT: Final = 2


def _google_play(
    subscription_type: int | None,
    voided_product_type: int | None,
    is_one_time: bool,
    is_refund_review: bool,
    is_test: bool,
    is_test_purchase: bool,
) -> Kind:
    if subscription_type is not None:
        name = f"subscriptionNotification {subscription_type}"
        if is_test_purchase:
            return Kind(name, ignored=TEST)
        if subscription_type == _PENDING_PURCHASE_CANCELED:
            return Kind(name, ignored=NOTHING_PAID)
        return Kind(name, is_known=subscription_type in get_args(NotificationType))
    if voided_product_type is not None:
        name = f"voidedPurchaseNotification of productType {voided_product_type}"
        if is_test_purchase:
            return Kind(name, ignored=TEST)
        return Kind(name, ignored=NOT_A_SUBSCRIPTION if voided_product_type == _ONE_TIME_PRODUCT else None)
    if is_test:
        return Kind("testNotification", ignored=TEST)
    if is_one_time:
        return Kind("oneTimeProductNotification", ignored=NOT_A_SUBSCRIPTION)
    if is_refund_review:
        # Google asks for an opinion on a refund; when it is granted, a voided purchase tells it.
        return Kind("pendingRefundReviewNotification", ignored=NOTHING_PAID)
    return _UNNAMED


GOOGLE_PLAY: Final = KindOf(
    {
        "payload.subscriptionNotification.notificationType": int,
        "payload.voidedPurchaseNotification.productType": int,
        "payload.oneTimeProductNotification": OBJECT,
        "payload.pendingRefundReviewNotification": OBJECT,
        "payload.testNotification": OBJECT,
        "purchase.testPurchase": OBJECT,
    },
    _google_play,
)

_APP_STORE_IGNORED: Final = {
    "TEST": TEST,
    "CONSUMPTION_REQUEST": NOTHING_PAID,
    "EXTERNAL_PURCHASE_TOKEN": NOT_A_SUBSCRIPTION,
    "METADATA_UPDATE": NOTHING_PAID,
    "MIGRATION": NOTHING_PAID,
    "ONE_TIME_CHARGE": NOT_A_SUBSCRIPTION,
    # The renewal brings the new price.
    "PRICE_CHANGE": NOTHING_PAID,
    "RENEWAL_EXTENSION": NOTHING_PAID,
    "RESCIND_CONSENT": NOT_A_SUBSCRIPTION,
}
"""By type, whatever the subtype. Of RENEWAL_EXTENSION, RENEWAL_EXTENDED tells each subscription by itself."""
_ENVIRONMENTS: Final = ("Sandbox", "Xcode", "LocalTesting")
_OTHER_PRODUCTS: Final = ("Non-Consumable", "Consumable", "Non-Renewing Subscription")


def _app_store(
    kind: str | None,
    subtype: str | None,
    environment: str | None,
    app_environment: str | None,
    summary_environment: str | None,
    product_type: str | None,
) -> Kind:
    if kind is None:
        return _UNNAMED
    name = (f"{kind}/{subtype}" if subtype else kind)[:_LONGEST_NAME]
    if any(each in _ENVIRONMENTS for each in (environment, app_environment, summary_environment)):
        return Kind(name, ignored=TEST)
    if kind in _APP_STORE_IGNORED:
        return Kind(name, ignored=_APP_STORE_IGNORED[kind])
    if product_type in _OTHER_PRODUCTS:
        return Kind(name, ignored=NOT_A_SUBSCRIPTION)
    return Kind(name, is_known=subtype in SUBTYPES.get(kind, ()))


APP_STORE: Final = KindOf(
    {
        "payload.notificationType": str,
        "payload.subtype": str,
        "payload.data.environment": str,
        "payload.appData.environment": str,
        "payload.summary.environment": str,
        "payload.data.transactionInfo.type": str,
    },
    _app_store,
)
