"""Google Play: what each notification, with the purchase fetched for it, says of the subscription."""

from __future__ import annotations

import ast
import re
from typing import Any, get_args

import pytest

from loaders.landing.notifications.google_play import NotificationType
from segue.settings import PROJECT_ROOT
from tests.dbt.conftest import Row
from tests.dbt.providers.conftest import Staging, refusals

MODEL = PROJECT_ROOT / "dbt/models/staging/google_play/stg_google_play__subscription_events.sql"
IDS = {"obfuscatedExternalAccountId": "a1", "obfuscatedExternalProfileId": "s1"}
MONTHLY = {"productId": "duo", "basePlanId": "monthly"}
YEARLY = {"basePlanId": "yearly", "offerId": "trial-30-days"}
PRICE = {"currencyCode": "EUR", "units": "9", "nanos": 990_000_000}
SAID = {
    "subscription_id": "s1",
    "account_id": "a1",
    "plan_id": "duo:monthly",
    "price_amount": "9.99",
    "currency": "EUR",
    "billing_interval": "month",
    "billing_interval_count": 1,
    "period_start_at": "2026-01-10 11:00:00",
    "period_end_at": "2026-04-10 11:00:00",
    "is_auto_renew": True,
}


def purchase(item: Row | None = None, **fields: Any) -> Row:
    """A monthly subscription at 9.99 €, renewing, with the service's ids."""
    line = {
        "productId": "duo",
        "expiryTime": "2026-04-10T11:00:00Z",
        "autoRenewingPlan": {"autoRenewEnabled": True, "recurringPrice": PRICE},
        "offerDetails": {"basePlanId": "monthly", "offerId": "trial-30-days"},
        "offerPhase": {"basePrice": {}},
    }
    return {
        "subscriptionState": "SUBSCRIPTION_STATE_ACTIVE",
        "startTime": "2026-01-10T11:00:00.000Z",
        "externalAccountIdentifiers": IDS,
        "lineItems": [line | (item or {})],
    } | fields


def notice(kind: int, bought: Row | None = None) -> Row:
    """The columns of a notification."""
    return {
        "payload": {
            "version": "1.0",
            "packageName": "com.example.music",
            "eventTimeMillis": "1773140400000",
            "subscriptionNotification": {
                "version": "1.0",
                "notificationType": kind,
                "purchaseToken": "token-1",
            },
        },
        "purchase": bought or purchase(),
    }


def plan(**fields: Any) -> Row:
    """An item's autoRenewingPlan."""
    return {"autoRenewingPlan": {"autoRenewEnabled": True, "recurringPrice": PRICE} | fields}


TYPES: dict[int, str | None] = {
    1: "recovered",
    2: "renewed",
    3: "auto_renew_off",
    4: "started",
    5: "billing_retry_started",
    6: "grace_started",
    7: "auto_renew_on",
    8: None,
    9: "price_changed",
    10: "paused",
    11: None,
    12: "revoked",
    13: "expired",
    17: "plan_changed",
    18: None,
    19: None,
    20: None,
    22: None,
}


def test_every_type_that_landing_takes_has_its_meaning(staging: Staging) -> None:
    assert set(TYPES) == set(get_args(NotificationType))

    said = staging.events("google_play", {str(kind): notice(kind) for kind in TYPES})

    assert {kind: event["event_type"] for kind, event in said.items()} == {
        str(kind): meaning for kind, meaning in TYPES.items() if meaning
    }
    for kind, event in said.items():
        more = {"4": {"offer_id": "trial-30-days"}, "12": {"reason": "admin"}}.get(kind, {})
        assert event == SAID | {"event_type": TYPES[int(kind)]} | more


def test_the_model_lists_what_is_informational() -> None:
    listed = re.search(r"informational_types = (\[.*?\])", MODEL.read_text(), re.S)
    assert listed
    # 19 announces a price or tells that it is charged now.
    assert {*ast.literal_eval(listed[1]), 19} == {kind for kind, meaning in TYPES.items() if not meaning}


def test_a_purchase_is_a_start_a_trial_a_return_or_a_change_of_plan(staging: Staging) -> None:
    trial = {"offerPhase": {"freeTrial": {}}, "offerDetails": YEARLY}
    said = staging.events(
        "google_play",
        {
            "trial": notice(4, purchase(trial)),
            "return": notice(
                4,
                purchase(
                    externalAccountIdentifiers=None,
                    outOfAppPurchaseContext={
                        "expiredExternalAccountIdentifiers": IDS, "expiredPurchaseToken": "token-0",
                    },
                ),
            ),
            "change": notice(
                4,
                purchase(
                    {"offerDetails": YEARLY, "itemReplacement": MONTHLY},
                    linkedPurchaseToken="token-0",
                ),
            ),
        },
    )  # fmt: skip

    opening = SAID | {"offer_id": "trial-30-days"}
    assert said == {
        "trial": opening | {
            "event_type": "trial_started", "plan_id": "duo:yearly", "price_amount": "0.00",
            "billing_interval": "year", "trial_ends_at": "2026-04-10 11:00:00",
        },
        "return": opening | {"event_type": "reactivated"},
        "change": SAID | {"event_type": "plan_changed", "plan_id": "duo:yearly", "billing_interval": "year"},
    }  # fmt: skip


def test_the_old_token_of_a_changed_plan_says_nothing_of_the_subscription(staging: Staging) -> None:
    replaced = purchase(canceledStateContext={"replacementCancellation": {}})

    assert staging.events("google_play", {str(kind): notice(kind, replaced) for kind in (3, 12, 13)}) == {}


def test_without_a_profile_every_token_is_a_subscription(staging: Staging) -> None:
    ids = {"obfuscatedExternalAccountId": "a1"}
    said = staging.events(
        "google_play",
        {
            "new token": notice(
                4, purchase(externalAccountIdentifiers=ids, linkedPurchaseToken="token-0")
            ),
            "old token": notice(
                13,
                purchase(
                    externalAccountIdentifiers=ids, canceledStateContext={"replacementCancellation": {}}
                ),
            ),
        },
    )  # fmt: skip

    assert {name: (e["subscription_id"], e["event_type"], e.get("reason")) for name, e in said.items()} == {
        "new token": ("token-1", "started", None),
        "old token": ("token-1", "expired", "other"),
    }


@pytest.mark.parametrize("kind", [3, 13])
def test_an_end_has_the_reason_of_who_ended_it(staging: Staging, kind: int) -> None:
    said = staging.events(
        "google_play",
        {
            who: notice(kind, purchase(canceledStateContext={f"{who}InitiatedCancellation": {}}))
            for who in ("user", "system", "developer")
        },
    )

    assert {who: event["reason"] for who, event in said.items()} == {
        "user": "voluntary",
        "system": "payment_failure",
        "developer": "admin",
    }


def test_a_price_changes_when_it_is_charged_not_when_it_is_announced(staging: Staging) -> None:
    def change(state: str) -> Row:
        details = {"newPrice": PRICE | {"units": "11"}, "priceChangeState": state}
        return notice(19, purchase(plan(priceChangeDetails=details)))

    states = ("OUTSTANDING", "CONFIRMED", "APPLIED", "CANCELED")
    said = staging.events("google_play", {state: change(state) for state in states})

    assert said == {"APPLIED": SAID | {"event_type": "price_changed", "price_amount": "11.99"}}


def test_a_voided_purchase_of_a_subscription_is_a_refund(staging: Staging) -> None:
    def voided(product_type: int) -> Row:
        row = notice(2)
        del row["payload"]["subscriptionNotification"]
        row["payload"]["voidedPurchaseNotification"] = {
            "purchaseToken": "token-1", "orderId": "GPA.1", "productType": product_type, "refundType": 1,
        }  # fmt: skip
        return row

    said = staging.events("google_play", {"subscription": voided(1), "one-time product": voided(2)})

    assert said == {"subscription": SAID | {"event_type": "refunded", "reason": "refund"}}


def test_tests_and_one_time_products_are_no_subscriptions(staging: Staging) -> None:
    assert (
        staging.events(
            "google_play",
            {
                "test": {"payload": {"testNotification": {"version": "1.0"}}},
                "one-time": {
                    "payload": {"oneTimeProductNotification": {"notificationType": 1, "sku": "coins"}}
                },
                "licence tester": notice(4, purchase(testPurchase={})),
            },
        )
        == {}
    )


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        ({"currencyCode": "JPY", "units": "980"}, "980.00"),
        ({"currencyCode": "USD", "nanos": 10_000_000}, "0.01"),
        ({"currencyCode": "USD", "units": "999999", "nanos": 990_000_000}, "999999.99"),
        ({"currencyCode": "IDR", "units": "1042800"}, "1042800.00"),
        ({"currencyCode": "IDR", "units": "9999999999", "nanos": 990_000_000}, "9999999999.99"),
        ({"currencyCode": "KWD", "units": "1", "nanos": 255_000_000}, "1.255"),
        ({"currencyCode": "USD"}, "0.00"),
    ],
)
def test_money_is_units_and_billionths(staging: Staging, money: Row, amount: str) -> None:
    said = staging.events("google_play", {"it": notice(2, purchase(plan(recurringPrice=money)))})

    assert (said["it"]["price_amount"], said["it"]["currency"]) == (amount, money["currencyCode"])


def test_what_protobuf_leaves_out_is_false_and_a_prepaid_plan_does_not_renew(staging: Staging) -> None:
    said = staging.events(
        "google_play",
        {
            "off": notice(2, purchase({"autoRenewingPlan": {"recurringPrice": PRICE}})),
            "prepaid": notice(2, purchase({"autoRenewingPlan": None, "prepaidPlan": {}})),
        },
    )

    assert said["off"] == SAID | {"event_type": "renewed", "is_auto_renew": False}
    assert (said["prepaid"]["is_auto_renew"], said["prepaid"].get("price_amount")) == (False, None)


def test_nine_decimals_of_a_second_are_cut_to_six(staging: Staging) -> None:
    said = staging.events(
        "google_play", {"it": notice(2, purchase(startTime="2026-01-10T11:00:00.123456789Z"))}
    )

    assert said["it"]["period_start_at"] == "2026-01-10 11:00:00"


def test_a_plan_that_is_not_in_the_catalogue_has_no_interval(staging: Staging) -> None:
    said = staging.events("google_play", {"it": notice(2, purchase({"productId": "unheard-of"}))})

    assert not {"billing_interval", "billing_interval_count"} & set(said["it"])


def broken(bought: Row) -> list[tuple[str, str]]:
    return refusals("google_play", notice(2, bought))


@pytest.mark.parametrize("kind", [0, 14, 15, 16, 21, 23, "4", 4.5, None])
def test_an_unknown_type_is_quarantined(kind: Any) -> None:
    [(column, reason)] = refusals("google_play", notice(kind))

    assert column == "payload.subscriptionNotification.notificationType"
    # A text may be anything of anybody: it is kept with the row and told to nobody.
    told = column if isinstance(kind, str) else f"{column} {kind!r}"
    assert reason.startswith(f"{told}: Input should be 1, 2,")


def test_a_malformed_notification_is_quarantined_naming_the_field() -> None:
    assert refusals("google_play", {"payload": "{"})[0][0] == "payload"
    assert refusals("google_play", {"payload": {"newNotification": {}}})[0][0] == "payload"
    assert refusals("google_play", notice(2) | {"purchase": None}) == [
        ("purchase", "purchase is null though payload is about a subscription")
    ]
    assert broken(purchase(lineItems=[]))[0][0] == "purchase.lineItems"
    assert broken(purchase({"expiryTime": "2026-02-30T00:00:00Z"}))[0][0] == "purchase.lineItems.0.expiryTime"
    [(column, reason)] = broken(purchase({"expiryTime": "2026-01-10T10:59:59Z"}))
    assert column == "purchase.lineItems"
    assert reason.endswith("expiryTime 2026-01-10T10:59:59Z is before startTime 2026-01-10T11:00:00.000Z")
    half_cents = plan(recurringPrice=PRICE | {"nanos": 995_000_000})
    assert broken(purchase(half_cents))[0][0] == "purchase.lineItems.0.autoRenewingPlan.recurringPrice.nanos"
    micros = plan(recurringPrice=PRICE | {"units": "9990000"})
    assert broken(purchase(micros))[0][0] == "purchase.lineItems.0.autoRenewingPlan.recurringPrice.nanos"
    assert broken(purchase(subscriptionState="SUBSCRIPTION_STATE_NEW"))[0][0] == "purchase.subscriptionState"


def test_fields_that_nobody_reads_may_come() -> None:
    assert broken(purchase(newField={"deep": [1]}, regionCode="SE")) == []
