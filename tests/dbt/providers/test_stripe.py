"""Stripe: what each event says of the subscription."""

from __future__ import annotations

import ast
import re
from typing import Any, get_args

import pytest

from loaders.landing.notifications.stripe import READ, EventKind
from segue.settings import PROJECT_ROOT
from tests.dbt.conftest import Row
from tests.dbt.providers.conftest import Staging, refusals

MODEL = PROJECT_ROOT / "dbt/models/staging/stripe/stg_stripe__subscription_events.sql"
PERIOD = {"current_period_start": 1_773_140_400, "current_period_end": 1_775_818_800}
PRICE = {
    "id": "price_1", "product": "solo", "currency": "eur", "unit_amount": 999,
    "recurring": {"interval": "month", "interval_count": 1},
}  # fmt: skip
SAID = {
    "subscription_id": "sub_1",
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
CHARGE = {"subscription_id": "sub_1", "account_id": "a1"}


def event(kind: str, content: Row, previous: Row | None = None, livemode: bool = True) -> Row:
    """The columns of an event."""
    data: Row = {"object": content}
    if previous is not None:
        data["previous_attributes"] = previous
    return {"payload": {"id": "evt_1", "type": kind, "livemode": livemode, "created": 1, "data": data}}


def subscription(price: Row | None = None, quantity: int = 1, **fields: Any) -> Row:
    """A monthly subscription at 9.99 €."""
    item = {"quantity": quantity, "price": PRICE | (price or {})} | PERIOD
    return {
        "id": "sub_1",
        "object": "subscription",
        "status": "active",
        "metadata": {"account_id": "a1", "offer_id": "winback"},
        "cancel_at_period_end": False,
        "cancel_at": None,
        "pause_collection": None,
        "items": {"data": [item]},
    } | fields


def updated(previous: Row, **fields: Any) -> Row:
    return event("customer.subscription.updated", subscription(**fields), previous)


def invoice(reason: str = "subscription_cycle", lines: list[Row] | None = None, **fields: Any) -> Row:
    """An invoice of a month."""
    return {
        "id": "in_1",
        "billing_reason": reason,
        "currency": "eur",
        "parent": {
            "subscription_details": {"subscription": "sub_1", "metadata": {"account_id": "a1"}},
        },
        "lines": {"data": [line()] if lines is None else lines},
    } | fields


def line(amount: int = 999, product: str = "solo", proration: bool = False, discount: int = 0) -> Row:
    return {
        "amount": amount,
        "discount_amounts": [{"amount": discount}] if discount else [],
        "period": {"start": PERIOD["current_period_start"], "end": PERIOD["current_period_end"]},
        "pricing": {"price_details": {"product": product, "price": "price_1"}},
        "parent": {"subscription_item_details": {"proration": proration}},
    }


KINDS: dict[str, str] = {
    "customer.subscription.created": "started",
    "customer.subscription.updated": "auto_renew_off",
    "customer.subscription.deleted": "expired",
    "customer.subscription.paused": "paused",
    "customer.subscription.resumed": "resumed",
    "invoice.paid": "renewed",
    "charge.refunded": "refunded",
    "charge.dispute.funds_withdrawn": "refunded",
    "charge.dispute.funds_reinstated": "refund_reversed",
    "refund.failed": "refund_reversed",
}


def any_event(kind: str) -> Row:
    if kind == "customer.subscription.updated":
        return updated({"cancel_at_period_end": False}, cancel_at_period_end=True)
    if kind.startswith("customer.subscription"):
        return event(kind, subscription())
    if kind.startswith("invoice"):
        return event(kind, invoice())
    return event(kind, {"id": "ch_1", "amount": 999, "currency": "eur", "metadata": CHARGE})


def test_every_type_that_landing_takes_is_mapped_or_informational(staging: Staging) -> None:
    kinds = get_args(EventKind)
    listed = re.search(r"informational_types = (\[.*?\])", MODEL.read_text(), re.S)
    assert listed
    assert {*ast.literal_eval(listed[1]), *KINDS} == set(kinds)
    assert set(READ) == set(KINDS)

    said = staging.events("stripe", {kind: any_event(kind) for kind in kinds})

    assert {kind: row["event_type"] for kind, row in said.items()} == KINDS


def test_a_subscription_tells_everything_a_charge_only_whose_it_is(staging: Staging) -> None:
    said = staging.events("stripe", {kind: any_event(kind) for kind in KINDS})

    ids = {"subscription_id": "sub_1", "account_id": "a1"}
    no_rhythm = {
        name: value
        for name, value in SAID.items()
        if name not in ("billing_interval", "billing_interval_count", "is_auto_renew")
    }
    assert said == {
        "customer.subscription.created": SAID | {"event_type": "started", "offer_id": "winback"},
        "customer.subscription.updated": SAID | {"event_type": "auto_renew_off", "is_auto_renew": False},
        "customer.subscription.deleted": SAID | {"event_type": "expired", "is_auto_renew": False},
        "customer.subscription.paused": SAID | {"event_type": "paused"},
        "customer.subscription.resumed": SAID | {"event_type": "resumed"},
        "invoice.paid": no_rhythm | {"event_type": "renewed"},
        "charge.refunded": ids | {"event_type": "refunded", "reason": "refund"},
        "charge.dispute.funds_withdrawn": ids | {"event_type": "refunded", "reason": "fraud"},
        "charge.dispute.funds_reinstated": ids | {"event_type": "refund_reversed"},
        "refund.failed": ids | {"event_type": "refund_reversed"},
    }


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("trialing", "trial_started"),
        ("active", "started"),
        ("incomplete", None),
        ("past_due", None),
        ("paused", None),
    ],
)
def test_a_new_subscription_begins_when_it_is_usable(
    staging: Staging, status: str, meaning: str | None
) -> None:
    row = event("customer.subscription.created", subscription(status=status, trial_end=1_775_818_800))
    said = staging.events("stripe", {"it": row})

    assert said.get("it", {}).get("event_type") == meaning
    if status == "trialing":
        assert said["it"] == SAID | {
            "event_type": "trial_started", "price_amount": "0.00", "offer_id": "winback",
            "trial_ends_at": "2026-04-10 11:00:00",
        }  # fmt: skip


STATUSES = {
    ("trialing", "active"): "trial_converted",
    ("trialing", "past_due"): "grace_started",
    ("incomplete", "active"): "started",
    ("incomplete", "trialing"): "trial_started",
    ("incomplete", "incomplete_expired"): None,
    ("active", "past_due"): "grace_started",
    ("past_due", "unpaid"): "billing_retry_started",
    ("past_due", "active"): "recovered",
    ("unpaid", "active"): "recovered",
    # These two have an event of their own.
    ("past_due", "canceled"): None,
    ("trialing", "paused"): None,
}


def test_a_new_status_says_how_payment_goes(staging: Staging) -> None:
    said = staging.events(
        "stripe",
        {
            f"{before} to {after}": updated({"status": before}, status=after, trial_end=1_775_818_800)
            for before, after in STATUSES
        },
    )

    assert {name: row["event_type"] for name, row in said.items()} == {
        f"{before} to {after}": meaning for (before, after), meaning in STATUSES.items() if meaning
    }


def test_an_update_says_what_changed_and_nothing_else(staging: Staging) -> None:
    def price_before(quantity: int = 1, **fields: Any) -> Row:
        return {"items": {"data": [{"quantity": quantity, "price": PRICE | fields}]}}

    paused = {"behavior": "void", "resumes_at": None}
    said = staging.events(
        "stripe",
        {
            "off": updated({"cancel_at_period_end": False}, cancel_at_period_end=True),
            "off on a date": updated({"cancel_at": None}, cancel_at=1_775_818_800),
            "on": updated({"cancel_at_period_end": True}),
            "on again without a date": updated({"cancel_at": 1_775_818_800}),
            "off in another way": updated(
                {"cancel_at_period_end": True, "cancel_at": None}, cancel_at=1_775_818_800
            ),
            "paused": updated({"pause_collection": None}, pause_collection=paused),
            "paused for longer": updated({"pause_collection": paused}, pause_collection=paused | {"x": 1}),
            "resumed": updated({"pause_collection": paused}),
            "another plan": updated(price_before(product="home", id="price_2")),
            "another rhythm": updated(price_before(recurring={"interval": "year", "interval_count": 1})),
            "every three of them": updated(
                price_before(recurring={"interval": "month", "interval_count": 3})
            ),
            "another currency": updated(price_before(currency="gbp")),
            "another price": updated(price_before(unit_amount=899, id="price_0")),
            "another seat": updated(price_before(quantity=1), quantity=2),
            "a new period": updated({"items": {"data": [{"current_period_end": 1_773_140_400}]}}),
            "another card": updated({"default_payment_method": "pm_1"}),
        },
    )

    assert {name: (row["event_type"], row["is_auto_renew"]) for name, row in said.items()} == {
        "off": ("auto_renew_off", False),
        "off on a date": ("auto_renew_off", False),
        "on": ("auto_renew_on", True),
        "on again without a date": ("auto_renew_on", True),
        "paused": ("paused", True),
        "resumed": ("resumed", True),
        "another plan": ("plan_changed", True),
        "another rhythm": ("plan_changed", True),
        "every three of them": ("plan_changed", True),
        "another currency": ("plan_changed", True),
        "another price": ("price_changed", True),
        "another seat": ("price_changed", True),
    }
    assert said["another seat"]["price_amount"] == "19.98"


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("cancellation_requested", ("expired", "voluntary")),
        ("payment_failed", ("expired", "payment_failure")),
        ("payment_disputed", ("revoked", "fraud")),
        (None, ("expired", None)),
    ],
)
def test_an_end_has_a_reason(staging: Staging, reason: str | None, meaning: tuple[str, str | None]) -> None:
    ended = subscription(status="canceled", cancellation_details={"reason": reason})
    said = staging.events("stripe", {"it": event("customer.subscription.deleted", ended)})

    assert (said["it"]["event_type"], said["it"].get("reason")) == meaning


def test_only_an_invoice_of_a_new_period_renews(staging: Staging) -> None:
    reasons = ("subscription_cycle", "subscription_create", "subscription_update", "manual")
    said = staging.events("stripe", {reason: event("invoice.paid", invoice(reason)) for reason in reasons})

    assert set(said) == {"subscription_cycle"}


def test_a_renewal_costs_what_its_period_costs_after_discounts(staging: Staging) -> None:
    lines = [line(-500, "home", proration=True), line(1_799, discount=300)]
    said = staging.events("stripe", {"it": event("invoice.paid", invoice(lines=lines))})

    assert (said["it"]["plan_id"], said["it"]["price_amount"]) == ("solo", "14.99")


@pytest.mark.parametrize(
    ("currency", "smallest_unit", "amount"),
    [
        ("jpy", 980, "980.00"),
        ("krw", 10_900, "10900.00"),
        ("kwd", 3_250, "3.25"),
        ("kwd", 3_255, "3.255"),
        ("vnd", 1_299_000, "1299000.00"),
        ("usd", 1, "0.01"),
        ("isk", 99_000, "990.00"),
    ],
)
def test_amounts_are_in_the_currencys_smallest_unit(
    staging: Staging, currency: str, smallest_unit: int, amount: str
) -> None:
    price = {"currency": currency, "unit_amount": smallest_unit}
    said = staging.events(
        "stripe",
        {
            "subscription": event("customer.subscription.created", subscription(price)),
            "invoice": event("invoice.paid", invoice(currency=currency, lines=[line(smallest_unit)])),
        },
    )

    assert {(row["price_amount"], row["currency"]) for row in said.values()} == {(amount, currency.upper())}


def test_before_2025_the_period_stood_on_the_subscription(staging: Staging) -> None:
    old = subscription(items={"data": [{"quantity": 1, "price": PRICE}]}, **PERIOD)
    said = staging.events("stripe", {"it": event("customer.subscription.created", old)})

    assert said["it"] == SAID | {"event_type": "started", "offer_id": "winback"}


def test_test_mode_is_no_business(staging: Staging) -> None:
    row = event("customer.subscription.created", subscription(), livemode=False)

    assert staging.events("stripe", {"it": row}) == {}


def test_an_unknown_type_is_quarantined() -> None:
    [(column, reason)] = refusals("stripe", event("customer.subscription.boosted", subscription()))

    assert column == "payload.type"
    assert reason.startswith("payload.type 'customer.subscription.boosted': Input should be")


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (subscription(status="dormant"), "status"),
        (subscription(metadata={}), "metadata.account_id"),
        (subscription({"recurring": {"interval": "month", "interval_count": 0}}),
         "items.data.0.price.recurring.interval_count"),
        (subscription({"recurring": {"interval": "quarter", "interval_count": 1}}),
         "items.data.0.price.recurring.interval"),
        (subscription({"unit_amount": None}), "items.data.0.price.unit_amount"),
        (subscription({"currency": "EUR"}), "items.data.0.price.currency"),
        (subscription(items={"data": []}), "items.data"),
        (subscription(items={"data": [{"price": PRICE}]}), "current_period_end"),
        (subscription(items={"data": [{"price": PRICE} | PERIOD | {"current_period_end": 1_773_140_399}]}),
         "current_period_end"),
        (subscription(cancel_at_period_end="no"), "cancel_at_period_end"),
    ],
)  # fmt: skip
def test_a_malformed_subscription_is_quarantined_naming_the_field(content: Row, column: str) -> None:
    found = [name for name, _ in refusals("stripe", event("customer.subscription.updated", content, {}))]

    assert found == [f"payload.data.object.{column}"]


def test_a_refund_must_say_which_subscription_it_concerns() -> None:
    charge = {"id": "ch_1", "metadata": {"account_id": "a1"}}

    assert [name for name, _ in refusals("stripe", event("charge.refunded", charge))] == [
        "payload.data.object.metadata.subscription_id"
    ]
    # A charge that came in as usual is not read at all.
    assert refusals("stripe", event("charge.succeeded", {"id": "ch_1"})) == []


def test_a_renewal_without_a_paid_period_is_quarantined_another_invoice_is_not_read() -> None:
    prorated = [line(proration=True)]

    assert [name for name, _ in refusals("stripe", event("invoice.paid", invoice(lines=prorated)))] == [
        "payload.data.object.lines.data"
    ]
    assert refusals("stripe", event("invoice.paid", invoice("manual", lines=prorated, parent=None))) == []
