"""Whose a purchase is: the payload says it, the receiver beside it, or a map of the provider's customers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loaders.landing.contracts import CONTRACTS
from segue.settings import Settings
from tests.loaders.landing.delivered import NOON, Row, read_lines

STRIPE, GOOGLE, APPLE = "stripe_events", "google_play_notifications", "app_store_notifications"
PURCHASE = {
    "subscriptionState": "SUBSCRIPTION_STATE_ACTIVE",
    "lineItems": [{"productId": "solo", "expiryTime": "2026-04-10T11:00:00Z"}],
}
TRANSACTION = {
    "type": "Auto-Renewable Subscription", "inAppOwnershipType": "PURCHASED", "originalTransactionId": "71",
    "productId": "solo", "purchaseDate": 1773140400000, "expiresDate": 1775818800000,
}  # fmt: skip
SUBSCRIPTION = {
    "id": "sub_1", "customer": "cus_1", "status": "active", "cancel_at_period_end": False,
    "items": {"data": [{
        "price": {"id": "price_1", "product": "solo", "currency": "usd", "unit_amount": 999,
                  "recurring": {"interval": "month", "interval_count": 1}},
        "current_period_start": 1773140400, "current_period_end": 1775818800,
    }]},
}  # fmt: skip


def stripe(metadata: Row, customer: str | None = "cus_1", kind: str = "customer.subscription.created") -> Row:
    content = SUBSCRIPTION | {"metadata": metadata, "customer": customer}
    return NOON | {"event_id": "e1", "payload": {"type": kind, "livemode": True, "data": {"object": content}}}


def google(**purchase: Any) -> Row:
    payload = {"subscriptionNotification": {"notificationType": 4, "purchaseToken": "tok_1"}}
    return NOON | {"message_id": "m1", "payload": payload, "purchase": PURCHASE | purchase}


def apple(**transaction: Any) -> Row:
    data = {"environment": "Production", "transactionInfo": TRANSACTION | transaction}
    return NOON | {"notification_uuid": "u1", "payload": {"notificationType": "DID_RENEW", "data": data}}


IDS = {"obfuscatedExternalAccountId": "acct_7"}
NAMED = {
    "Stripe's metadata": (STRIPE, stripe({"account_id": "acct_7"})),
    "Google's account": (GOOGLE, google(externalAccountIdentifiers=IDS)),
    "Google's account of the expired purchase": (
        GOOGLE,
        google(
            outOfAppPurchaseContext={
                "expiredExternalAccountIdentifiers": IDS,
                "expiredPurchaseToken": "tok_0",
            }
        ),
    ),
    "Apple's account token": (APPLE, apple(appAccountToken="acct_7")),
    "Apple's seat, whose payer is another": (APPLE, apple(inAppOwnershipType="FAMILY_SHARED")),
}
NAMELESS = {
    "Stripe without metadata": (STRIPE, stripe({})),
    "Google without ids": (GOOGLE, google()),
    "Google with empty ids": (GOOGLE, google(externalAccountIdentifiers={})),
    "Google taken up again in the store, the token of before alone": (
        GOOGLE,
        google(outOfAppPurchaseContext={"expiredPurchaseToken": "tok_0"}),
    ),
    "Apple without a token": (APPLE, apple()),
}
PROVIDER = {STRIPE: "stripe", GOOGLE: "google_play", APPLE: "app_store"}


def mapped(*providers: str) -> Settings:
    return Settings(_env_file=None, mapped_providers=frozenset(providers))


@pytest.mark.parametrize(("table", "row"), NAMED.values(), ids=NAMED)
def test_a_payload_that_names_its_account_lands(tmp_path: Path, table: str, row: Row) -> None:
    assert len(read_lines(tmp_path, table, [row]).accepted) == 1


@pytest.mark.parametrize(("table", "row"), NAMELESS.values(), ids=NAMELESS)
def test_a_purchase_of_nobody_is_quarantined(tmp_path: Path, table: str, row: Row) -> None:
    read = read_lines(tmp_path, table, [row])
    assert read.accepted == []
    assert read.reasons == [
        (
            "account_id",
            "account_id is null, the payload names no account, and SEGUE_MAPPED_PROVIDERS does not name "
            + PROVIDER[table],
        )
    ]


@pytest.mark.parametrize(("table", "row"), NAMELESS.values(), ids=NAMELESS)
def test_the_receiver_says_whose_it_is_beside_the_payload(tmp_path: Path, table: str, row: Row) -> None:
    [landed] = read_lines(tmp_path, table, [row | {"account_id": "acct_7"}]).accepted
    assert landed["account_id"] == "acct_7"


@pytest.mark.parametrize(("table", "row"), NAMELESS.values(), ids=NAMELESS)
def test_where_customers_are_mapped_nobody_need_be_named(tmp_path: Path, table: str, row: Row) -> None:
    assert len(read_lines(tmp_path, table, [row], mapped(PROVIDER[table])).accepted) == 1
    others = mapped(*(each for each in PROVIDER.values() if each != PROVIDER[table]))
    assert read_lines(tmp_path, table, [row], others).accepted == []


def test_a_mapped_event_of_stripe_names_its_customer(tmp_path: Path) -> None:
    read = read_lines(tmp_path, STRIPE, [stripe({}, customer=None)], mapped("stripe"))
    assert read.reasons == [
        ("account_id", "account_id is null, and the payload names neither account nor customer")
    ]


def test_an_account_that_the_event_took_away_pays_no_more(tmp_path: Path) -> None:
    row = stripe({}, kind="customer.subscription.updated")
    row["payload"]["data"]["previous_attributes"] = {"metadata": {"account_id": "acct_7"}}
    assert [column for column, _ in read_lines(tmp_path, STRIPE, [row]).reasons] == ["account_id"]


@pytest.mark.parametrize("account", ["", "a" * 129])
def test_an_account_is_an_id_wherever_it_stands(tmp_path: Path, account: str) -> None:
    assert read_lines(tmp_path, STRIPE, [stripe({"account_id": account})]).accepted == []
    assert read_lines(tmp_path, STRIPE, [stripe({}) | {"account_id": account}]).accepted == []


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"provider": "stripe", "customer_id": "cus_1"}, []),
        ({"provider": "app_store", "subscription_id": "71"}, []),
        ({"provider": "google_play", "subscription_id": "tok_1"}, []),
        ({"provider": "stripe", "subscription_id": "sub_1"}, ["customer_id"]),
        ({"provider": "app_store", "customer_id": "c", "subscription_id": "71"}, ["customer_id"]),
        ({"provider": "google_play"}, ["subscription_id"]),
        ({"provider": "periods", "customer_id": "c"}, ["provider"]),
    ],
)
def test_customers_are_mapped_by_what_their_provider_tells(
    tmp_path: Path, row: Row, columns: list[str]
) -> None:
    mapping = row | {"account_id": "acct_7", "ingested_at": NOON["ingested_at"]}
    assert CONTRACTS["provider_accounts"].may_be_absent
    read = read_lines(tmp_path, "provider_accounts", [mapping])
    assert [column for column, _ in read.reasons] == columns
