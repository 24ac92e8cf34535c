"""One day of landing files in which somebody does something in every feed, well-formed and not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from loaders.landing.contracts import CONTRACTS
from loaders.landing.listing import landing_store
from loaders.landing.period_map import PeriodMap
from loaders.landing.periods import land_periods
from local.company.notifications.app_store import app_store
from local.company.notifications.event import Event
from local.company.notifications.google_play import google_play
from local.company.notifications.stripe import stripe
from segue.settings import Settings
from tests.loaders.landing.test_land import write

DAY = date(2026, 3, 29)
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
EARLIER = datetime(2026, 3, 28, 12, tzinfo=UTC)
MONTH = {"period_start_at": NOON, "period_end_at": datetime(2026, 4, 29, tzinfo=UTC)}
EXPORT_MAP = PeriodMap.model_validate(
    {
        "periods": {
            "subscription_id": "sub", "account_id": "account", "start": "start", "end": "end",
            "plan": {"constant": "solo"}, "plan_kind": {"constant": "individual"},
            "interval": {"constant": "month"}, "price": {"constant": "9.99"}, "currency": {"constant": "USD"},
            "is_trial": {"constant": "false"},
        },
        "accounts": {
            "file": "accounts.csv", "account_id": "account", "created": "created",
            "market": {"constant": "SE"}, "locale": {"constant": "sv"},
        },
    }
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """Whose rows they are; every id of theirs holds ``name``."""

    account: str
    name: str

    def subscription(self, feed: str) -> str:
        """The id of their subscription at a provider."""
        return f"{feed}.{self.name}.s"


def _event(person: Person, feed: str, event_type: str = "started") -> Event:
    micros = int(NOON.timestamp()) * 1_000_000
    return Event(
        provider_event_id=f"{feed}.{person.name}.{event_type}", subscription_id=person.subscription(feed),
        account_id=person.account, event_type=event_type, plan_id="solo-month", price_amount=999,
        currency="USD", interval="month", interval_count=1, trial_ends_at=None, period_start_at=micros,
        period_end_at=micros + 30 * 86_400_000_000, auto_renew=True, reason=None, offer_id=None,
        occurred_at=micros, plan_before="duo-month", currency_before=None,
    )  # fmt: skip


def _notification(key: str, number: str, payload: Row, **more: Any) -> Row:
    return {key: number, "ingested_at": NOON, "occurred_at": NOON, "payload": json.dumps(payload)} | more


def _google(person: Person) -> list[Row]:
    payload, purchase = google_play(_event(person, "google"))
    upgrade, upgraded = google_play(_event(person, "google", "plan_changed"))
    return [
        _notification("message_id", f"g1.{person.name}", payload, purchase=json.dumps(purchase)),
        _notification("message_id", f"g2.{person.name}", upgrade, purchase=json.dumps(upgraded)),
    ]


def google_of_subscription(person: Person) -> Row:
    """A one-time product of the purchase that a subscription was: it names nobody but by its token."""
    token = f"token-{person.subscription('google')}"
    payload = {"oneTimeProductNotification": {"notificationType": 1, "purchaseToken": token}}
    return _notification("message_id", f"g3.{person.name}", payload)


def _apple(person: Person) -> list[Row]:
    return [
        _notification("notification_uuid", f"a1.{person.name}", app_store(_event(person, "apple"))),
    ]


def apple_of_subscription(person: Person) -> Row:
    """A seat that the payer shares: the subscription's id and no account."""
    payload = app_store(_event(person, "apple", "renewed"))
    del payload["data"]["transactionInfo"]["appAccountToken"]
    payload["data"]["transactionInfo"]["inAppOwnershipType"] = "FAMILY_SHARED"
    return _notification("notification_uuid", f"a2.{person.name}", payload)


def _stripe(person: Person) -> list[Row]:
    found = []
    for number, event_type in enumerate(("started", "renewed", "refunded"), 1):
        payload = stripe(_event(person, "stripe", event_type))
        payload["data"]["object"]["customer"] = f"cus.{person.name}"
        found.append(_notification("event_id", f"s{number}.{person.name}", payload))
    return found


def stripe_of_customer(person: Person) -> Row:
    """A charge, of which nothing is read: the customer's id and no account."""
    object_ = {"object": "charge", "id": "ch_1", "customer": f"cus.{person.name}"}
    payload = {"type": "charge.succeeded", "livemode": True, "data": {"object": object_}}
    return _notification("event_id", f"s4.{person.name}", payload)


def stripe_of_subscription(person: Person) -> Row:
    """An invoice as Stripe wrote it before 2025-03-31."""
    object_ = {"object": "invoice", "id": "in_1", "subscription": person.subscription("stripe")}
    payload = {"type": "invoice.created", "livemode": True, "data": {"object": object_}}
    return _notification("event_id", f"s5.{person.name}", payload)


def rows_of(person: Person, guest: str = "") -> dict[str, list[Row]]:
    """Rows of a person in every table that can name one; ``guest`` has a seat of their plan."""
    at: Row = {"ingested_at": NOON}
    happened = at | {"account_id": person.account, "occurred_at": NOON}
    shown = happened | {"offer_id": "winback", "surface": "home", "market": "SE"}
    periods = person.subscription("periods")
    seats = [(person.account, "payer")] + ([(guest, "member")] if guest else [])
    return {
        "accounts": [
            at | {"account_id": account, "created_at": EARLIER, "market": "SE", "locale": "sv",
                  "is_test": False, "is_employee": False, "merged_into": into}
            for account, into in ((person.account, None), (f"merged.{person.name}", person.account))
        ],
        "subscription_events": [
            happened | MONTH | {
                "provider": "periods", "provider_event_id": f"{periods}:1:started",
                "subscription_id": periods, "event_type": "started", "plan_id": "solo-month",
                "price_amount": Decimal("9.99"), "currency": "USD", "interval": "month",
            }
        ],
        "google_play_notifications": _google(person),
        "app_store_notifications": _apple(person),
        "stripe_events": _stripe(person),
        "provider_accounts": [
            at | {"provider": "stripe", "customer_id": f"cus.{person.name}", "account_id": person.account},
            at | {"provider": "app_store", "subscription_id": person.subscription("apple"),
                  "account_id": person.account},
        ],
        "plan_members": [
            at | {"subscription_id": periods, "account_id": account, "role": role, "joined_at": NOON}
            for account, role in seats
        ],
        "payments": [
            at | {"payment_id": f"p{n}.{person.name}", "subscription_id": person.subscription(feed),
                  "kind": "charge", "amount": Decimal("9.99"), "currency": "USD", "status": "succeeded",
                  "attempt": 1, "occurred_at": NOON}
            for n, feed in enumerate(("periods", "google", "apple", "stripe"))
        ],
        "offer_impressions": [shown | {"impression_id": f"i.{person.name}"}],
        "offer_clicks": [shown | {"click_id": f"c.{person.name}", "impression_id": f"i.{person.name}"}],
        "checkouts": [
            shown | {"checkout_id": f"o.{person.name}", "click_id": f"c.{person.name}", "result": "completed",
                     "subscription_id": periods}
        ],
        "experiment_assignments": [happened | {"experiment_id": "e1", "variant": "b", "salt_version": 1}],
        "engagement_daily": [
            at | {"account_id": account, "day": DAY, "streams": 3, "ms_played": 540_000, "ad_ms": 0}
            for account in (person.account, f"merged.{person.name}")
        ],
        "consents": [happened | {"purpose": "marketing", "granted": True}],
        "deletion_requests": [
            at | {"request_id": f"r.{person.name}", "account_id": person.account, "requested_at": NOON}
        ],
        "scores": [
            at | {"model": "churn", "account_id": person.account, "score": Decimal("0.5"), "scored_at": NOON}
        ],
    }  # fmt: skip


NAME_NOBODY = {"plans", "plan_prices", "fx_rates", "content_entries"}
"""Feeds about what is sold, not about people."""


def catalogue() -> dict[str, list[Row]]:
    """The rows of those."""
    at: Row = {"ingested_at": NOON}
    return {
        "plans": [
            at | {"plan_id": "solo-month", "kind": "family", "interval": "month", "trial_days": 0, "seats": 6}
        ],
        "plan_prices": [
            at | {"plan_id": "solo-month", "market": "SE", "currency": "USD", "valid_from": DAY,
                  "price_amount": Decimal("9.99"), "tax_inclusive": True}
        ],
        "fx_rates": [at | {"day": DAY, "currency": "USD", "usd_rate": Decimal(1)}],
        "content_entries": [
            at | {"source": "cms", "entry_id": "winback", "locale": "sv", "content_type": "offer",
                  "content_version": 1, "is_published": True, "published_at": NOON, "fields": "{}",
                  "is_deleted": False}
        ],
    }  # fmt: skip


def deliver(settings: Settings, *people: Person, more: dict[str, list[Row]] | None = None) -> None:
    """The day's files. Of every row there is a copy that breaks its contract: it arrived the day before."""
    tables = catalogue()
    for number, person in enumerate(people):
        for table, found in rows_of(person, guest=people[number - 1].account).items():
            tables.setdefault(table, []).extend(found)
    for table, found in (more or {}).items():
        tables[table] = tables[table] + found
    assert tables.keys() == CONTRACTS.keys()
    for table, found in tables.items():
        write(settings, table, found, DAY)
        if table not in NAME_NOBODY:
            write(settings, table, [row | {"ingested_at": EARLIER} for row in found], DAY, name="refused")
    landing = Path(urlparse(settings.landing_files_root).path)
    broken = landing / "subscription_events" / str(DAY) / "broken.ndjson"
    # Lines that end too early, as two programs would write them.
    broken.write_text(
        "".join(
            f'{{"account_id": {json.dumps(person.account, ensure_ascii=ascii_only)}, "subscription_id": "s\n'
            for person in people
            for ascii_only in (True, False)
        )
    )


def deliver_export(settings: Settings, folder: Path, *people: Person) -> None:
    """The same day's billing export, as landing files."""
    lines = [f"export.{person.name},{person.account},2026-03-29,2026-04-29" for person in people]
    (folder / "export.csv").write_text("\n".join(["sub,account,start,end", *lines]) + "\n")
    lines = [f"{person.account},2026-03-01" for person in people]
    (folder / "accounts.csv").write_text("\n".join(["account,created", *lines]) + "\n")
    land_periods(folder / "export.csv", EXPORT_MAP, landing_store(settings), DAY)
