"""Stripe: what each event says of the subscription."""

from __future__ import annotations

import ast
import re
from typing import Any, get_args

import pytest

from loaders.landing.contracts import CONTRACTS
from loaders.landing.notifications.stripe import READ, EventKind
from loaders.landing.schema import bigquery_schema
from segue.settings import PROJECT_ROOT
from tests.dbt.compiled_project import built_project
from tests.dbt.conftest import Row
from tests.dbt.googlesql import GoogleSql, comparable
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
    # What is paid is news of a beginning, of a change and of an invoice; otherwise it stays as it was.
    unpriced = {name: value for name, value in SAID.items() if name != "price_amount"}
    assert said == {
        "customer.subscription.created": SAID | {"event_type": "started", "offer_id": "winback"},
        "customer.subscription.updated": unpriced | {"event_type": "auto_renew_off", "is_auto_renew": False},
        "customer.subscription.deleted": unpriced | {"event_type": "expired", "is_auto_renew": False},
        "customer.subscription.paused": unpriced | {"event_type": "paused"},
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
    ("unpaid", "past_due"): "grace_started",
    ("past_due", "canceled"): "expired",
    ("unpaid", "canceled"): "expired",
    ("trialing", "paused"): "paused",
    ("paused", "active"): "resumed",
    # Free time in the middle of a life: nothing is paid, and nobody is in a trial.
    ("active", "trialing"): "price_changed",
    ("past_due", "trialing"): "recovered",
    ("paused", "trialing"): "resumed",
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
        ("canceled_by_retention_policy", ("expired", "other")),
        ("something_new", ("expired", "other")),
        (None, ("expired", None)),
    ],
)
def test_an_end_has_a_reason(staging: Staging, reason: str | None, meaning: tuple[str, str | None]) -> None:
    ended = subscription(status="canceled", cancellation_details={"reason": reason})
    said = staging.events("stripe", {"it": event("customer.subscription.deleted", ended)})

    assert (said["it"]["event_type"], said["it"].get("reason")) == meaning


def test_what_was_never_paid_for_has_no_end(staging: Staging) -> None:
    never = event("customer.subscription.deleted", subscription(status="incomplete_expired"))

    assert staging.events("stripe", {"it": never}) == {}


def test_an_invoice_of_a_new_period_renews_the_first_one_says_what_is_paid(staging: Staging) -> None:
    reasons = (
        "subscription_cycle", "subscription_create", "subscription_update", "quote_accept", "manual",
        "upcoming", "subscription", "subscription_threshold", "automatic_pending_invoice_item_invoice",
    )  # fmt: skip
    half = [line(discount=500)]
    quote = {"type": "quote_details", "quote_details": {"quote": "qt_1"}, "subscription_details": None}
    something_else = event("invoice.paid", invoice("quote_accept", half, parent=quote))
    said = staging.events(
        "stripe",
        {reason: event("invoice.paid", invoice(reason, half)) for reason in reasons}
        | {"a quote of something else": something_else},
    )
    assert refusals("stripe", something_else) == []

    told = {"subscription_id": "sub_1", "account_id": "a1", "plan_id": "solo", "price_amount": "4.99"}
    told |= {"currency": "EUR"}
    # It may be heard of before the subscription: it begins nothing.
    first = told | {"event_type": "price_changed"}
    assert said == {
        "subscription_cycle": told
        | {
            "event_type": "renewed",
            "period_start_at": "2026-03-10 11:00:00",
            "period_end_at": "2026-04-10 11:00:00",
        },
        "subscription_create": first,
        "subscription_update": first,
        "quote_accept": first,
    }


def earlier_line(amount: int = 999, product: str = "solo", **fields: Any) -> Row:
    """A line as it was before 2025-03-31."""
    new = line(amount)
    old = {name: value for name, value in new.items() if name not in ("parent", "pricing")}
    return old | {"type": "subscription", "proration": False, "price": PRICE | {"product": product}} | fields


def pending(amount: int, proration: bool = False) -> Row:
    """An invoice item that had waited for this invoice: a fee, a credit or the settlement of a change."""
    item = line(amount, "setup")
    item["period"] = {"start": 1_773_000_000, "end": 1_773_000_000}
    item["parent"] = {
        "type": "invoice_item_details",
        "subscription_item_details": None,
        "invoice_item_details": {"invoice_item": "ii_1", "proration": proration, "subscription": "sub_1"},
    }
    return item


def usage(amount: int) -> Row:
    """What was used in the period before, which costs something else every time."""
    return line(amount, "calls") | {"period": {"start": 1_770_721_200, "end": PERIOD["current_period_start"]}}


def test_a_renewal_costs_what_the_subscriptions_items_cost_after_discounts(staging: Staging) -> None:
    old = {"subscription": "sub_1", "subscription_details": {"metadata": {"account_id": "a1"}}}
    cases = {
        "after a discount": invoice(lines=[line(1_799, discount=300)]),
        "after all of it": invoice(lines=[line(discount=999)]),
        "beside a proration": invoice(lines=[line(-500, "home", proration=True), line()]),
        "beside a pending fee": invoice(lines=[pending(2_500), line()]),
        "beside a credit": invoice(lines=[pending(-300), line()]),
        "beside usage": invoice(lines=[usage(12_345), line()]),
        "in tiers": invoice(lines=[line(500), line(300)]),
        "with an add-on": invoice(lines=[line(300, "extra"), line()]),
        "in the earlier layout": invoice(
            parent=None, **old,
            lines=[
                earlier_line(2_500, "setup", type="invoiceitem"),
                earlier_line(-500, "home", proration=True),
                earlier_line(999, discount_amounts=[{"amount": 99}]),
            ],
        ),
        "of a plan": invoice(parent=None, **old, lines=[earlier_line(price=None, plan={"product": "solo"})]),
        "with more lines than are here": invoice()
        | {"lines": {"data": [pending(100), line()], "has_more": True}},
        "with lines that are not here": invoice()
        | {"lines": {"data": [pending(100)] * 10, "has_more": True}},
    }  # fmt: skip
    said = staging.events("stripe", {name: event("invoice.paid", each) for name, each in cases.items()})

    assert {name: row["subscription_id"] for name, row in said.items()} == dict.fromkeys(cases, "sub_1")
    assert {name: row["account_id"] for name, row in said.items()} == dict.fromkeys(cases, "a1")
    assert {name: row.get("period_end_at") for name, row in said.items()} == dict.fromkeys(
        cases, "2026-04-10 11:00:00"
    ) | {"with lines that are not here": None}
    assert {name: (row.get("plan_id"), row.get("price_amount")) for name, row in said.items()} == {
        "after a discount": ("solo", "14.99"),
        "after all of it": ("solo", "0.00"),
        "beside a proration": ("solo", "9.99"),
        "beside a pending fee": ("solo", "9.99"),
        "beside a credit": ("solo", "9.99"),
        "beside usage": ("solo", "9.99"),
        "in tiers": ("solo", "8.00"),
        # Which of them is the plan the subscription knows, not the invoice.
        "with an add-on": (None, "12.99"),
        "in the earlier layout": ("solo", "9.00"),
        "of a plan": ("solo", "9.99"),
        "with more lines than are here": ("solo", None),
        "with lines that are not here": (None, None),
    }


def test_an_invoice_that_only_settles_a_change_says_nothing_of_the_price(staging: Staging) -> None:
    prorated = [line(-500, proration=True), line(900, "home", proration=True), pending(400, proration=True)]
    reasons = ("subscription_create", "subscription_update")
    said = staging.events(
        "stripe", {reason: event("invoice.paid", invoice(reason, prorated)) for reason in reasons}
    )

    assert said == {}


def item(price: Row | None = None, **fields: Any) -> Row:
    """An item of the subscription."""
    return {"id": "si_1", "quantity": 1, "price": PRICE | (price or {})} | PERIOD | fields


METERED = {"unit_amount": 2, "recurring": PRICE["recurring"] | {"usage_type": "metered"}}
EXTRA = {"id": "price_9", "product": "extra", "unit_amount": 300}


def test_the_oldest_item_is_the_plan_and_prices_add_up(staging: Staging) -> None:
    cases = {
        "quantity": [item(quantity=3)],
        "no seat": [item(quantity=0)],
        "fractions of a cent": [item({"unit_amount": None, "unit_amount_decimal": "12.5"}, quantity=200)],
        "fractions are rounded after the quantity": [
            item({"unit_amount": None, "unit_amount_decimal": "0.05"}, quantity=30)
        ],
        "an add-on": [item(), item(EXTRA, quantity=2)],
        "an add-on that stands first": [item(EXTRA, created=1_773_140_401), item(created=1_773_140_400)],
        "usage": [item(METERED | {"product": "calls"}, quantity=None), item()],
        "usage only": [item(METERED, quantity=None)],
        "tiers": [item({"unit_amount": None})],
        "a price in several currencies": [item({"currency": "usd"})],
        "packages": [item({"transform_quantity": {"divide_by": 10, "round": "up"}}, quantity=11)],
    }
    said = staging.events(
        "stripe",
        {
            name: event("customer.subscription.created", subscription(items={"data": items}, currency="eur"))
            for name, items in cases.items()
        }
        | {
            "more than are here": event(
                "customer.subscription.created", subscription(items={"data": [item()], "has_more": True})
            )
        },
    )
    assert {row["currency"] for row in said.values()} == {"EUR"}
    # It is not the catalogue's price either.
    assert [name for name, row in said.items() if row.get("is_price_unknown")] == ["usage only"]

    assert {name: (row["plan_id"], row.get("price_amount")) for name, row in said.items()} == {
        "quantity": ("solo", "29.97"),
        "no seat": ("solo", "0.00"),
        "fractions of a cent": ("solo", "25.00"),
        "fractions are rounded after the quantity": ("solo", "0.02"),
        "an add-on": ("solo", "15.99"),
        "an add-on that stands first": ("solo", "12.99"),
        "usage": ("solo", "9.99"),
        "usage only": ("solo", None),
        # What nobody can tell in advance, the invoices tell.
        "tiers": ("solo", None),
        "packages": ("solo", None),
        "a price in several currencies": ("solo", None),
        "more than are here": ("solo", None),
    }


def test_what_was_used_is_no_price(staging: Staging) -> None:
    only = {"items": {"data": [item(METERED, quantity=None)]}}
    billed = PERIOD["current_period_start"]
    said = staging.events(
        "stripe",
        {
            "in its trial": event(
                "customer.subscription.created", subscription(status="trialing", trial_end=billed, **only)
            ),
            "after its trial": updated({"status": "trialing"}, **only),
            "usage is billed": event("invoice.paid", invoice(lines=[usage(450)], created=billed)),
            "usage is billed in the earlier layout": event(
                "invoice.paid", invoice(lines=[earlier_line(450, price=PRICE | METERED)])
            ),
            "nothing was used yet": event(
                "invoice.paid", invoice("subscription_create", [line(0) | {"quantity": 0}], created=billed)
            ),
            "beside a price": event("invoice.paid", invoice(lines=[usage(450), line()], created=billed)),
        },
    )

    assert {name: (row.get("price_amount"), row.get("is_price_unknown")) for name, row in said.items()} == {
        "in its trial": ("0.00", None),
        "after its trial": (None, True),
        "usage is billed": (None, True),
        "usage is billed in the earlier layout": (None, True),
        "beside a price": ("9.99", None),
    }


def test_an_item_more_or_less_changes_the_price_not_the_plan(staging: Staging) -> None:
    two = {"items": {"data": [item(), item(EXTRA)]}}
    one = {"items": {"data": [item()]}}
    said = staging.events(
        "stripe", {"more": updated(one, **two), "less": updated(two, **one), "another extra": updated(
            {"items": {"data": [item(), item(EXTRA | {"unit_amount": 200})]}}, **two,
        )}
    )  # fmt: skip

    assert {name: (row["event_type"], row["plan_id"], row["price_amount"]) for name, row in said.items()} == {
        "more": ("price_changed", "solo", "12.99"),
        "less": ("price_changed", "solo", "9.99"),
        "another extra": ("price_changed", "solo", "12.99"),
    }


def test_a_base_item_that_is_replaced_beside_an_older_add_on_is_the_plan(staging: Staging) -> None:
    extra = item(EXTRA, created=1_773_140_401)
    home = item({"id": "price_2", "product": "home", "unit_amount": 1_999}, created=1_773_140_402)
    base = item(created=1_773_140_400)
    unlisted = item({"product": "unlisted"}, created=1_773_140_402)
    before = {"items": {"data": [base, extra]}}
    said = staging.events(
        "stripe",
        {
            "listed": updated(before, items={"data": [extra, home]}),
            "both are listed": updated(before, items={"data": [home, base]}),
            "none is listed": updated(before, items={"data": [unlisted, extra]}),
        },
    )

    assert {name: (row["event_type"], row["plan_id"], row["price_amount"]) for name, row in said.items()} == {
        "listed": ("plan_changed", "home", "22.99"),
        "both are listed": ("price_changed", "solo", "29.98"),
        "none is listed": ("plan_changed", "extra", "12.99"),
    }


def off(amount: int, currency: str = "eur") -> Row:
    """A coupon of an amount."""
    return HALF | {"percent_off": None, "amount_off": amount, "currency": currency}


HALF = {"id": "co_1", "percent_off": 50, "amount_off": None, "currency": None, "duration": "forever"}


def test_a_discount_that_is_told_is_taken_off_one_that_is_only_named_is_left_to_the_invoice(
    staging: Staging,
) -> None:
    cases: dict[str, Row] = {
        "none": {"discounts": [], "discount": None},
        "named": {"discounts": ["di_1"]},
        "named on the item": {"items": {"data": [item(discounts=["di_1"])]}},
        "told": {"discounts": [{"id": "di_1", "coupon": HALF}]},
        "told since clover": {"discounts": [{"id": "di_1", "source": {"type": "coupon", "coupon": HALF}}]},
        "named since clover": {"discounts": [{"id": "di_1", "source": {"type": "coupon", "coupon": "co_1"}}]},
        "told before basil": {"discounts": ["di_1"], "discount": {"id": "di_1", "coupon": HALF}},
        "a third": {"discount": {"coupon": HALF | {"percent_off": 33.33}}},
        "all of it": {"discount": {"coupon": HALF | {"percent_off": 100}}},
        "an amount": {"discount": {"coupon": off(300)}},
        "more than it costs": {"discount": {"coupon": off(3_000)}},
        "an amount of another currency": {"discount": {"coupon": off(300, "usd")}},
        "two": {"discounts": [{"coupon": HALF}, {"coupon": HALF}]},
        "for some products": {"discount": {"coupon": HALF | {"applies_to": {"products": ["home"]}}}},
        "garbled": {"discount": {"coupon": HALF | {"percent_off": "half"}}},
    }  # fmt: skip
    said = staging.events(
        "stripe",
        {name: event("customer.subscription.created", subscription(**each)) for name, each in cases.items()},
    )

    assert {name: row.get("price_amount") for name, row in said.items()} == {
        "none": "9.99",
        "named": None,
        "named on the item": None,
        "told": "4.99",
        "told since clover": "4.99",
        "named since clover": None,
        "told before basil": "4.99",
        "a third": "6.66",
        "all of it": "0.00",
        "an amount": "6.99",
        "more than it costs": "0.00",
        "an amount of another currency": None,
        "two": None,
        "for some products": None,
        "garbled": None,
    }


def test_a_change_under_a_discount_that_is_only_named_leaves_the_price_unknown(staging: Staging) -> None:
    named = {"discounts": ["di_1"]}
    yearly = {"interval": "year", "interval_count": 1}
    before = {"items": {"data": [item({"product": "home", "unit_amount": 1_499})]}}
    said = staging.events(
        "stripe",
        {
            "another plan": updated(before, **named),
            "another price": updated({"items": {"data": [item({"unit_amount": 899})]}}, **named),
            "another plan with its payment": updated(before | {"status": "past_due"}, **named),
            # What is not told stays as it was, or as the invoice has told it.
            "another rhythm": updated({"items": {"data": [item({"recurring": yearly})]}}, **named),
            "a beginning on account": event(
                "customer.subscription.created", subscription(collection_method="send_invoice", **named)
            ),
            "a beginning": event("customer.subscription.created", subscription(**named)),
            "a cancellation": updated({"cancel_at_period_end": False}, cancel_at_period_end=True, **named),
            "free time": updated({"status": "active"}, status="trialing", trial_end=1_776_423_600, **named),
        },
    )

    assert {name: row.get("is_price_unknown") for name, row in said.items()} == {
        "another plan": True,
        "another price": True,
        "another plan with its payment": True,
        "a beginning on account": True,
        "another rhythm": None,
        "a beginning": None,
        "a cancellation": None,
        "free time": None,
    }


def test_free_time_lasts_until_the_trial_ends(staging: Staging) -> None:
    free = {"status": "trialing", "trial_end": 1_776_423_600}
    said = staging.events(
        "stripe",
        {
            "given": updated({"status": "active", "trial_end": None}, **free),
            "extended": updated({"trial_end": 1_775_818_800}, **free),
            "paid again": updated({"status": "trialing"}, trial_end=1_773_140_400),
        },
    )

    told = {"event_type": "price_changed", "price_amount": "0.00"}
    told |= {"trial_ends_at": "2026-04-17 11:00:00", "period_end_at": "2026-04-17 11:00:00"}
    assert said == {
        "given": SAID | told,
        "extended": SAID | told,
        "paid again": SAID | {"event_type": "trial_converted"},
    }


def test_a_status_that_changes_says_no_price_unless_nothing_was_paid_before(staging: Staging) -> None:
    trial = {"trial_end": 1_773_140_400}
    said = staging.events(
        "stripe",
        {
            "paid at last": updated({"status": "past_due"}),
            "not paid": updated({"status": "active"}, status="past_due"),
            "not paid after a trial": updated({"status": "trialing"}, status="past_due", **trial),
            "no card after a trial": updated({"status": "trialing"}, status="paused", **trial),
            "a card after all": updated({"status": "paused"}),
            "the first invoice": updated({"status": "incomplete"}),
            "with another plan": updated(
                {"status": "past_due", "items": {"data": [item({"product": "home", "unit_amount": 1_499})]}}
            ),
        },
    )

    assert {name: row.get("price_amount") for name, row in said.items()} == {
        "paid at last": None,
        "not paid": None,
        "not paid after a trial": "9.99",
        "no card after a trial": "9.99",
        "a card after all": "9.99",
        "the first invoice": "9.99",
        "with another plan": "9.99",
    }


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
    assert reason.startswith("payload.type: Input should be 'customer.subscription.created', ")


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (subscription(status="dormant"), "status"),
        (subscription({"recurring": {"interval": "month", "interval_count": 0}}),
         "items.data.0.price.recurring.interval_count"),
        (subscription({"recurring": {"interval": "quarter", "interval_count": 1}}),
         "items.data.0.price.recurring.interval"),
        (subscription({"unit_amount": -1}), "items.data.0.price.unit_amount"),
        (subscription({"unit_amount": None, "unit_amount_decimal": "1e3"}),
         "items.data.0.price.unit_amount_decimal"),
        (subscription(items={"data": [
            {"price": PRICE} | PERIOD, {"price": PRICE | {"recurring": {"interval": "year"}}} | PERIOD]}),
         "items.data"),
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
        "payload.data.object.lines"
    ]
    unnamed = invoice(parent=None, lines=[line()])
    assert [name for name, _ in refusals("stripe", event("invoice.paid", unnamed))] == ["payload.data.object"]
    elsewhere = invoice("subscription_create", parent=None)
    assert [name for name, _ in refusals("stripe", event("invoice.paid", elsewhere))] == [
        "payload.data.object"
    ]
    assert refusals("stripe", event("invoice.paid", invoice("manual", lines=prorated, parent=None))) == []


PLAN_VERSIONS = {
    "plan_id": "STRING", "plan_kind": "STRING", "seats": "INT64", "billing_interval": "STRING",
    "billing_interval_count": "INT64", "known_from_date": "DATE", "known_until_date": "DATE",
}  # fmt: skip


def test_googles_reference_implementation_says_the_same_of_every_event_above(staging: Staging) -> None:
    """The mapping reads lists inside of payloads, which engines may understand in their own ways."""
    warehouse = staging.warehouse
    staging.events("stripe", {kind: any_event(kind) for kind in KINDS})
    manifest = built_project(warehouse.settings, staging.dataset).manifest
    model = manifest["nodes"]["model.segue.stg_stripe__subscription_events"]
    google, inputs = GoogleSql(), {}
    for key in model["depends_on"]["nodes"]:
        if key in manifest["sources"]:
            read = manifest["sources"][key]
            columns = {f.name: f.field_type for f in bigquery_schema(CONTRACTS[read["name"]])}
        else:
            read = manifest["nodes"][key]
            columns = PLAN_VERSIONS
        table = f"{read['database']}.{read['schema']}.{read.get('alias') or read['name']}"
        google.declare(table, columns)
        inputs[table] = [dict(row) for row in warehouse.query(f"select * from `{table}`")]
    view = f"{staging.dataset}.stg_stripe__subscription_events"
    expected = [dict(row) for row in warehouse.query(f"select * from {view}")]

    assert len(expected) >= len(KINDS)
    said = google.execute(model["compiled_code"], inputs)
    assert sorted(map(repr, comparable(said))) == sorted(map(repr, comparable(expected)))
