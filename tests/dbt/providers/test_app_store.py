"""App Store: what each type and subtype says of the subscription."""

from __future__ import annotations

import ast
import re
from typing import Any, get_args, get_type_hints

import pytest

from loaders.landing.notifications.app_store import SUBTYPES, WITHOUT_TRANSACTION, AppStorePayload
from segue.settings import PROJECT_ROOT
from tests.dbt.conftest import Row
from tests.dbt.providers.conftest import Staging, refusals

MODEL = PROJECT_ROOT / "dbt/models/staging/app_store/stg_app_store__subscription_events.sql"
SAID = {
    "subscription_id": "1000",
    "account_id": "a1",
    "plan_id": "solo",
    "price_amount": "9.99",
    "currency": "EUR",
    "billing_interval": "month",
    "billing_interval_count": 1,
    "period_start_at": "2026-03-10 11:00:00",
    "period_end_at": "2026-04-10 11:00:00",
    "is_auto_renew": True,
}

OF_THE_PAST = {name: SAID[name] for name in ("subscription_id", "account_id", "is_auto_renew")}
"""What a transaction that the subscription no longer stands at says of it."""


def transaction(**fields: Any) -> Row:
    """A month at 9.99 €."""
    return {
        "transactionId": "1001",
        "originalTransactionId": "1000",
        "productId": "solo",
        "purchaseDate": 1_773_140_400_000,
        "expiresDate": 1_775_818_800_000,
        "type": "Auto-Renewable Subscription",
        "inAppOwnershipType": "PURCHASED",
        "appAccountToken": "a1",
        "price": 9_990,
        "currency": "EUR",
    } | fields


def notice(kind: str, info: Row | None = None, renews: int = 1, **data: Any) -> Row:
    """The columns of a notification; ``kind`` is TYPE or TYPE/SUBTYPE."""
    name, _, subtype = kind.partition("/")
    payload: Row = {
        "notificationType": name,
        "notificationUUID": "uuid",
        "version": "2.0",
        "signedDate": 1_773_140_400_000,
        "data": {
            "environment": "Production",
            "status": 1,
            "transactionInfo": info or transaction(),
            "renewalInfo": {"autoRenewStatus": renews, "autoRenewProductId": "solo"},
        }
        | data,
    }
    if subtype:
        payload["subtype"] = subtype
    return {"payload": payload}


KINDS: dict[str, str | None] = {
    "SUBSCRIBED/INITIAL_BUY": "started",
    "SUBSCRIBED/RESUBSCRIBE": "reactivated",
    "DID_RENEW": "renewed",
    "DID_RENEW/BILLING_RECOVERY": "recovered",
    "DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_ENABLED": "auto_renew_on",
    "DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_DISABLED": "auto_renew_off",
    "DID_CHANGE_RENEWAL_PREF": None,
    "DID_CHANGE_RENEWAL_PREF/UPGRADE": "plan_changed",
    "DID_CHANGE_RENEWAL_PREF/DOWNGRADE": None,
    "OFFER_REDEEMED": None,
    "OFFER_REDEEMED/INITIAL_BUY": "started",
    "OFFER_REDEEMED/RESUBSCRIBE": "reactivated",
    "OFFER_REDEEMED/UPGRADE": "plan_changed",
    "OFFER_REDEEMED/DOWNGRADE": None,
    "DID_FAIL_TO_RENEW": "billing_retry_started",
    "DID_FAIL_TO_RENEW/GRACE_PERIOD": "grace_started",
    "GRACE_PERIOD_EXPIRED": "billing_retry_started",
    "EXPIRED": "expired",
    "EXPIRED/VOLUNTARY": "expired",
    "EXPIRED/BILLING_RETRY": "expired",
    "EXPIRED/PRICE_INCREASE": "expired",
    "EXPIRED/PRODUCT_NOT_FOR_SALE": "expired",
    "PRICE_INCREASE/PENDING": None,
    "PRICE_INCREASE/ACCEPTED": None,
    "REFUND": "refunded",
    "REFUND_REVERSED": "refund_reversed",
    "REFUND_DECLINED": None,
    "CONSUMPTION_REQUEST": None,
    "REVOKE": "revoked",
    "RENEWAL_EXTENDED": "price_changed",
    "RENEWAL_EXTENSION/SUMMARY": None,
    "RENEWAL_EXTENSION/FAILURE": None,
    "EXTERNAL_PURCHASE_TOKEN/UNREPORTED": None,
    "EXTERNAL_PURCHASE_TOKEN/CREATED": None,
    "EXTERNAL_PURCHASE_TOKEN/ACTIVE_TOKEN_REMINDER": None,
    "ONE_TIME_CHARGE": None,
    "RESCIND_CONSENT": None,
    "TEST": None,
}
REASONS = {
    "EXPIRED/VOLUNTARY": "voluntary",
    "EXPIRED/BILLING_RETRY": "payment_failure",
    "EXPIRED/PRICE_INCREASE": "voluntary",
    "EXPIRED/PRODUCT_NOT_FOR_SALE": "other",
    "REFUND": "refund",
    "REVOKE": "admin",
}


def test_every_type_and_subtype_that_landing_takes_has_its_meaning(staging: Staging) -> None:
    taken = {f"{kind}/{sub}" if sub else kind for kind, subtypes in SUBTYPES.items() for sub in subtypes}
    assert set(KINDS) == taken
    assert set(get_args(get_type_hints(AppStorePayload)["notificationType"])) == set(SUBTYPES)

    said = staging.events("app_store", {kind: notice(kind) for kind in KINDS})

    assert said == {
        kind: (OF_THE_PAST if kind == "REFUND" else SAID)
        | {"event_type": meaning}
        | ({"reason": REASONS[kind]} if kind in REASONS else {})
        for kind, meaning in KINDS.items()
        if meaning
    }


def test_the_model_lists_what_is_informational() -> None:
    listed = re.search(r"informational_types = (\[.*?\])", MODEL.read_text(), re.S)
    assert listed
    assert set(ast.literal_eval(listed[1])) == {kind for kind, meaning in KINDS.items() if not meaning}


def test_an_opening_by_a_free_offer_is_a_trial(staging: Staging) -> None:
    free = transaction(offerType=2, offerIdentifier="winback", offerDiscountType="FREE_TRIAL", price=0)
    half = transaction(offerType=4, offerIdentifier="winback", offerDiscountType="PAY_AS_YOU_GO", price=4_990)
    said = staging.events(
        "app_store",
        {
            "first": notice("SUBSCRIBED/INITIAL_BUY", free),
            "again": notice("SUBSCRIBED/RESUBSCRIBE", free),
            "by code": notice("OFFER_REDEEMED/INITIAL_BUY", free),
            "at half price": notice("SUBSCRIBED/RESUBSCRIBE", half),
            "renewed": notice("DID_RENEW", half),
        },
    )

    trial = {
        "event_type": "trial_started", "trial_ends_at": "2026-04-10 11:00:00", "price_amount": "0.00",
        "offer_id": "winback",
    }  # fmt: skip
    assert said == {
        "first": SAID | trial,
        "again": SAID | trial,
        "by code": SAID | trial,
        "at half price": SAID | {"event_type": "reactivated", "price_amount": "4.99", "offer_id": "winback"},
        "renewed": SAID | {"event_type": "renewed", "price_amount": "4.99"},
    }


def test_a_downgrade_and_a_raised_price_come_with_the_renewal_that_charges_them(staging: Staging) -> None:
    said = staging.events(
        "app_store",
        {
            "announced down": notice("DID_CHANGE_RENEWAL_PREF/DOWNGRADE"),
            "down": notice("DID_RENEW", transaction(productId="home", price=4_990)),
            "announced up": notice("PRICE_INCREASE/ACCEPTED"),
            "dearer": notice("DID_RENEW", transaction(price=11_990)),
        },
    )

    assert said == {
        "down": SAID | {
            "event_type": "renewed", "plan_id": "home", "billing_interval": "year", "price_amount": "4.99",
        },
        "dearer": SAID | {"event_type": "renewed", "price_amount": "11.99"},
    }  # fmt: skip


def test_a_refund_of_the_current_period_revokes_it(staging: Staging) -> None:
    said = staging.events("app_store", {"it": notice("REFUND", renews=0, status=5)})

    assert said["it"] == SAID | {"event_type": "revoked", "reason": "refund", "is_auto_renew": False}


def test_a_seat_shared_with_the_family_is_no_paid_subscription(staging: Staging) -> None:
    seat = transaction(inAppOwnershipType="FAMILY_SHARED", appAccountToken=None, originalTransactionId="2000")
    kinds = ("SUBSCRIBED/INITIAL_BUY", "DID_RENEW", "REVOKE")

    assert staging.events("app_store", {kind: notice(kind, seat) for kind in kinds}) == {}


def test_other_products_and_the_sandbox_are_no_subscriptions(staging: Staging) -> None:
    coins = transaction(type="Consumable", expiresDate=None, appAccountToken=None)

    assert (
        staging.events(
            "app_store",
            {
                "consumable": notice("REFUND", coins),
                "sandbox": notice("DID_RENEW", environment="Sandbox"),
            },
        )
        == {}
    )


@pytest.mark.parametrize(
    ("price", "currency", "amount"),
    [
        (980_000, "JPY", "980.00"),
        (10, "USD", "0.01"),
        (0, "EUR", "0.00"),
        (1_299_000_000, "VND", "1299000.00"),
        (1_250, "KWD", "1.25"),
        (1_255, "KWD", "1.255"),
    ],
)
def test_a_price_is_in_thousandths_whatever_the_currency(
    staging: Staging, price: int, currency: str, amount: str
) -> None:
    said = staging.events(
        "app_store", {"it": notice("DID_RENEW", transaction(price=price, currency=currency))}
    )

    assert (said["it"]["price_amount"], said["it"]["currency"]) == (amount, currency)


def test_an_old_transaction_has_no_price_and_a_notification_may_lack_renewal_info(staging: Staging) -> None:
    bare = transaction()
    del bare["price"], bare["currency"]
    said = staging.events("app_store", {"it": notice("DID_RENEW", bare, renewalInfo=None)})

    assert set(SAID) - set(said["it"]) == {"price_amount", "currency", "is_auto_renew"}


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("DID_LAPSE", "payload.notificationType"),
        ("did_renew", "payload.notificationType"),
        ("DID_RENEW/UPGRADE", "payload.subtype"),
        ("SUBSCRIBED", "payload.subtype"),
        ("EXPIRED/VOLUNTARILY", "payload.subtype"),
        ("TEST/SUMMARY", "payload.subtype"),
    ],
)
def test_an_unknown_type_or_subtype_is_quarantined(kind: str, column: str) -> None:
    [(found, reason)] = refusals("app_store", notice(kind))

    assert found == column
    assert reason.startswith(column)


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"expiresDate": None}, "expiresDate"),
        ({"expiresDate": 1_773_140_399_999}, "expiresDate"),
        ({"purchaseDate": "2026-03-10"}, "purchaseDate"),
        ({"purchaseDate": 12_345}, "purchaseDate"),
        ({"price": 9_995}, "price"),
        ({"price": -10}, "price"),
        ({"price": 980_500, "currency": "JPY"}, "price"),
        ({"price": 9_990_000_000}, "price"),
        ({"currency": "eur"}, "currency"),
        ({"originalTransactionId": ""}, "originalTransactionId"),
        ({"type": "Lifetime"}, "type"),
    ],
)
def test_a_malformed_transaction_is_quarantined_naming_the_field(fields: Row, column: str) -> None:
    found = [name for name, _ in refusals("app_store", notice("DID_RENEW", transaction(**fields)))]

    assert found == [f"payload.data.transactionInfo.{column}"]


@pytest.mark.parametrize("kind", sorted(set(SUBTYPES) - {*WITHOUT_TRANSACTION}))
def test_only_notifications_about_no_purchase_may_lack_a_transaction(kind: str) -> None:
    payload: Row = {"notificationType": kind, "data": {"environment": "Production"}}
    if SUBTYPES[kind][0]:
        payload["subtype"] = SUBTYPES[kind][0]

    assert refusals("app_store", {"payload": payload})[0][0] == "payload.data"
    assert refusals("app_store", {"payload": {"notificationType": "TEST"}}) == []
