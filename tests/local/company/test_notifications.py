"""Payloads of canonical events keep the landing contracts of their providers, whatever happened."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import columns_of
from local.company.lives import EVENT_TYPES
from local.company.notifications.app_store import app_store
from local.company.notifications.event import Event
from local.company.notifications.google_play import google_play
from local.company.notifications.stripe import stripe

APRIL, MAY = 1_775_001_600_000_000, 1_777_593_600_000_000
NEVER_TOLD = {"app_store": ("paused", "resumed", "trial_converted"), "stripe": ("reactivated",),
              "google_play": ("resumed", "trial_converted")}  # fmt: skip
"""A provider without pauses or returns has none; some things it tells in the words of others."""


def event(event_type: str, **fields: Any) -> Event:
    values = {
        "provider_event_id": "e1", "subscription_id": "s1", "account_id": "a1", "event_type": event_type,
        "plan_id": "duo-month", "price_amount": 1499, "currency": "EUR", "interval": "month",
        "interval_count": 1,
        "trial_ends_at": MAY if event_type == "trial_started" else None, "period_start_at": APRIL,
        "period_end_at": MAY, "auto_renew": True, "reason": None, "offer_id": None, "occurred_at": APRIL,
        "plan_before": "solo-month", "currency_before": "EUR",
    }  # fmt: skip
    return Event(**(values | fields))


def problems(provider: str, told: Event) -> list[str]:
    """Paths of what the landing contract would refuse."""
    payload, purchase = google_play(told)
    table, columns = {
        "google_play": ("google_play_notifications", {"payload": payload, "purchase": purchase}),
        "app_store": ("app_store_notifications", {"payload": app_store(told)}),
        "stripe": ("stripe_events", {"payload": stripe(told)}),
    }[provider]
    models = {column.name: column.json for column in columns_of(CONTRACTS[table]) if column.json}
    return [
        path
        for name, content in columns.items()
        for path, _ in models[name].problems(name, json.dumps(content))
    ]


@pytest.mark.parametrize("provider", list(NEVER_TOLD))
def test_every_event_that_a_provider_tells_keeps_its_contract(provider: str) -> None:
    told = [kind for kind in EVENT_TYPES if kind not in NEVER_TOLD[provider]]

    assert {kind: problems(provider, event(kind)) for kind in told} == {kind: [] for kind in told}


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("google_play", "payload.subscriptionNotification.notificationType"),
        ("app_store", "payload.notificationType"),
        ("stripe", "payload.type"),
    ],
)
def test_a_type_of_tomorrow_does_not(provider: str, path: str) -> None:
    assert problems(provider, event("boosted")) == [path]


@pytest.mark.parametrize("provider", list(NEVER_TOLD))
def test_nor_does_a_period_that_ends_before_it_starts(provider: str) -> None:
    [path] = problems(provider, event("started", period_end_at=APRIL - 1_000_000))

    assert path.rpartition(".")[2] in ("lineItems", "expiresDate", "current_period_end")


def test_whole_yen_are_whole_yen() -> None:
    told = event("started", price_amount=98_000, currency="JPY")
    _, purchase = google_play(told)

    assert purchase["lineItems"][0]["autoRenewingPlan"]["recurringPrice"] == {
        "currencyCode": "JPY",
        "units": "980",
    }
    assert app_store(told)["data"]["transactionInfo"]["price"] == 980_000
    assert stripe(told)["data"]["object"]["items"]["data"][0]["price"]["unit_amount"] == 980
