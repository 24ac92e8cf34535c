"""Whose an event is: as the receiver says, as the payload does, else as the provider calls the payer."""

from __future__ import annotations

from tests.dbt.conftest import Row
from tests.dbt.providers import test_app_store as apple
from tests.dbt.providers import test_google_play as google
from tests.dbt.providers import test_stripe as stripe
from tests.dbt.providers.conftest import Staging


def accounts(staging: Staging, provider: str, notifications: dict[str, Row]) -> dict[str, str]:
    said = staging.events(provider, notifications)
    return {name: row["account_id"] for name, row in said.items()}


def test_stripe(staging: Staging) -> None:
    def told(**content: object) -> Row:
        return stripe.event("customer.subscription.created", stripe.subscription(customer="cus_1", **content))

    bare = stripe.invoice(
        customer="cus_1", parent={"subscription_details": {"subscription": "sub_1", "metadata": {}}}
    )
    assert accounts(
        staging,
        "stripe",
        {
            "the payload": told(),
            "the receiver, and the payload": told() | {"account_id": "a9"},
            "the receiver": told(metadata={}) | {"account_id": "a9"},
            "the customer": told(metadata={}),
            "the customer of an invoice": stripe.event("invoice.paid", bare),
        },
    ) == {
        "the payload": "a1",
        "the receiver, and the payload": "a9",
        "the receiver": "a9",
        "the customer": "stripe:cus_1",
        "the customer of an invoice": "stripe:cus_1",
    }


def test_google_play(staging: Staging) -> None:
    ids = {"obfuscatedExternalAccountId": "a1"}
    profile = {"obfuscatedExternalProfileId": "prof_1"}
    token = google.purchase(externalAccountIdentifiers=None)
    assert accounts(
        staging,
        "google_play",
        {
            "the payload": google.notice(2, google.purchase(externalAccountIdentifiers=ids)),
            "the receiver": google.notice(2, token) | {"account_id": "a9"},
            "the profile": google.notice(2, google.purchase(externalAccountIdentifiers=profile)),
        },
    ) == {"the payload": "a1", "the receiver": "a9", "the profile": "google_play:prof_1"}
    [(account, subscription)] = [
        (row["account_id"], row["subscription_id"])
        for row in staging.events("google_play", {"the token": google.notice(2, token)}).values()
    ]
    assert account == f"google_play:{subscription}"


def test_app_store(staging: Staging) -> None:
    nobody = apple.transaction(appAccountToken=None)
    said = staging.events(
        "app_store",
        {
            "the payload": apple.notice("DID_RENEW", apple.transaction()),
            "the receiver": apple.notice("DID_RENEW", nobody) | {"account_id": "a9"},
            "the subscription": apple.notice("DID_RENEW", nobody),
        },
    )
    found = {name: row["account_id"] for name, row in said.items()}
    original = said["the subscription"]["subscription_id"]
    assert found == {"the payload": "a1", "the receiver": "a9", "the subscription": f"app_store:{original}"}
