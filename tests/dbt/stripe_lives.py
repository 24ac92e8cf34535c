"""Lives as Stripe tells them, whole: what is paid is seldom what the subscription's price says."""

from __future__ import annotations

import json
from typing import Any

from tests.dbt.conftest import Row, at

LIST_PRICE = 2_000
HALF = ["di_1"]
"""A discount that is only named, as in a webhook."""


def stamp(text: str) -> int:
    return int(at(text).timestamp())


def told(place: int, kind: str, when: str, content: Row, previous: Row | None = None) -> Row:
    """The row of an event that arrives as it happens; ids in the order of ``place``."""
    data = {"object": content} | ({} if previous is None else {"previous_attributes": previous})
    payload = {"type": kind, "livemode": True, "data": data}
    name = content.get("id", "")
    return {
        "event_id": f"se-{place}-{kind}-{name}", "occurred_at": at(when), "ingested_at": at(when),
        "payload": json.dumps(payload),
    }  # fmt: skip


def subscription(name: str, since: str, until: str, **fields: Any) -> Row:
    """Twenty dollars a month."""
    rhythm = fields.pop("rhythm", {"interval": "month", "interval_count": 1})
    price = {
        "id": "price_1", "product": "solo", "currency": "usd",
        "unit_amount": fields.pop("unit_amount", LIST_PRICE), "recurring": rhythm,
    }  # fmt: skip
    period = {"current_period_start": stamp(since), "current_period_end": stamp(until)}
    return {
        "id": name, "status": "active", "metadata": {"account_id": f"a-{name}"},
        "cancel_at_period_end": False, "cancel_at": None, "discounts": [],
        "items": {"data": [{"quantity": 1, "price": price} | period]},
    } | fields  # fmt: skip


def invoice(name: str, reason: str, since: str, until: str, discount: int = 0) -> Row:
    """The list price less the discount."""
    line = {
        "amount": LIST_PRICE, "discount_amounts": [{"amount": discount}],
        "period": {"start": stamp(since), "end": stamp(until)},
        "pricing": {"price_details": {"product": "solo"}},
        "parent": {"subscription_item_details": {"proration": False}},
    }  # fmt: skip
    parent = {"subscription_details": {"subscription": name, "metadata": {"account_id": f"a-{name}"}}}
    return {
        "id": f"in_{name}", "billing_reason": reason, "currency": "usd", "parent": parent,
        "lines": {"data": [line]},
    }  # fmt: skip


CREATED, UPDATED, PAID = "customer.subscription.created", "customer.subscription.updated", "invoice.paid"
FEBRUARY, MARCH, APRIL = "2026-02-05 10:00", "2026-03-05 10:00", "2026-04-05 10:00"


def events() -> list[Row]:
    """What happens to each is in its name."""
    rows: list[Row] = []
    for name, discounts, first_invoice in (
        ("half_for_ever", HALF, FEBRUARY),
        # The customer's own discount is not on the subscription.
        ("half_for_the_customer", [], FEBRUARY),
        ("the_invoice_is_heard_of_first", HALF, "2026-02-05 09:59"),
    ):
        began = subscription(name, FEBRUARY, MARCH, discounts=discounts)
        goes_on = subscription(name, MARCH, APRIL, discounts=discounts)
        rows += [
            told(2, CREATED, FEBRUARY, began),
            told(1, PAID, first_invoice, invoice(name, "subscription_create", FEBRUARY, MARCH, 1_000)),
            told(3, PAID, "2026-03-05 11:00", invoice(name, "subscription_cycle", MARCH, APRIL, 1_000)),
            told(
                4, UPDATED, "2026-03-08 10:00", goes_on | {"cancel_at_period_end": True},
                {"cancel_at_period_end": False},
            ),
        ]  # fmt: skip
    free = subscription("free_time", FEBRUARY, MARCH, status="trialing", trial_end=stamp("2026-03-19 10:00"))
    paid_again = subscription("free_time", "2026-03-19 10:00", "2026-04-19 10:00")
    trial = {"status": "trialing", "cancel_at_period_end": True}
    nine_days = {"trial_end": stamp("2026-03-11 10:00")}
    three_weeks = {"trial_end": stamp("2026-03-23 10:00")}
    longer = subscription("longer_trial", "2026-03-02 10:00", "2026-03-11 10:00", **trial)
    never = subscription("never_begun", "2026-03-02 10:00", "2026-04-02 10:00", status="incomplete")
    quarterly = subscription(
        "quarterly", FEBRUARY, "2026-05-05 10:00", unit_amount=4_191,
        rhythm={"interval": "month", "interval_count": 3},
    )  # fmt: skip
    rows += [
        told(1, CREATED, FEBRUARY, subscription("free_time", FEBRUARY, MARCH)),
        told(2, UPDATED, "2026-03-03 10:00", free, {"status": "active", "trial_end": None}),
        told(3, UPDATED, "2026-03-19 10:00", paid_again, {"status": "trialing"}),
        told(1, CREATED, "2026-03-02 10:00", longer | nine_days),
        told(2, UPDATED, "2026-03-10 10:00", longer | three_weeks, nine_days),
        told(1, CREATED, "2026-03-02 10:00", never),
        told(
            2, UPDATED, "2026-03-03 09:00", never | {"status": "incomplete_expired"}, {"status": "incomplete"}
        ),
        told(1, CREATED, FEBRUARY, quarterly),
    ]  # fmt: skip
    return rows


ACCOUNTS = (
    "half_for_ever", "half_for_the_customer", "the_invoice_is_heard_of_first", "free_time", "longer_trial",
    "never_begun", "quarterly",
)  # fmt: skip
