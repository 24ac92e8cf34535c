"""Raw rows of payments by every source, one subscription for each thing that can go wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.dbt.conftest import Row, Warehouse, account, at, event, plan, rate
from tests.dbt.march import eur


def payment(payment_id: str, subscription_id: str, occurred: str, amount: str = "9.99", **other: Any) -> Row:
    """A charge in euro that succeeded and is told five minutes later, unless told otherwise."""
    occurred_at = at(occurred)
    row = {
        "payment_id": payment_id, "subscription_id": subscription_id, "kind": "charge",
        "amount": Decimal(amount), "currency": "EUR", "status": "succeeded", "attempt": 1,
        "occurred_at": occurred_at, "ingested_at": occurred_at + timedelta(minutes=5),
    }  # fmt: skip
    return row | other


def back(payment_id: str, of: str, subscription_id: str, occurred: str, amount: str, **other: Any) -> Row:
    """A refund of a charge."""
    return payment(
        payment_id, subscription_id, occurred, amount, kind="refund", refunded_payment_id=of, **other
    )


def stripe(event_id: str, kind: str, occurred: str, content: Row, previous: Row | None = None) -> Row:
    """An event of Stripe that arrives at once."""
    data = {"object": content} | ({"previous_attributes": previous} if previous else {})
    payload = {"id": event_id, "type": kind, "livemode": True, "data": data}
    return {
        "event_id": event_id, "payload": json.dumps(payload), "occurred_at": at(occurred),
        "ingested_at": at(occurred),
    }  # fmt: skip


def paid_invoice(subscription_id: str, account_id: str, amount: int, charge: str | None = None) -> Row:
    """A one-off invoice of a subscription, so that it says nothing but what was paid."""
    return {
        "id": f"in_{subscription_id}", "billing_reason": "manual", "currency": "eur", "charge": charge,
        "amount_paid": amount, "amount_due": amount, "attempt_count": 1,
        "parent": {
            "subscription_details": {
                "subscription": subscription_id, "metadata": {"account_id": account_id},
            },
        },
    }  # fmt: skip


def of_charge(subscription_id: str, account_id: str, **content: Any) -> Row:
    """A charge, refund or dispute with the metadata that the receiver copied."""
    ids = {"subscription_id": subscription_id, "account_id": account_id}
    return {"currency": "eur", "metadata": ids} | content


def apple(uuid: str, kind: str, occurred: str, transaction: str, price: int, **info: Any) -> Row:
    """A notification of the App Store about one transaction of subscription ``store``."""
    content = {
        "type": "Auto-Renewable Subscription", "inAppOwnershipType": "PURCHASED",
        "originalTransactionId": "store", "transactionId": transaction, "productId": "solo",
        "purchaseDate": 1_772_323_200_000, "expiresDate": 1_774_742_400_000, "appAccountToken": "a_store",
        "price": price, "currency": "EUR",
    }  # fmt: skip
    payload = {
        "notificationType": kind,
        "data": {
            "environment": "Production", "status": 1, "transactionInfo": content | info,
            "renewalInfo": {"autoRenewStatus": 1},
        },
    }  # fmt: skip
    return {
        "notification_uuid": uuid, "payload": json.dumps(payload), "occurred_at": at(occurred),
        "ingested_at": at(occurred) + timedelta(minutes=1),
    }  # fmt: skip


def _with_subtype(subtype: str) -> str:
    payload = json.loads(apple("", "DID_CHANGE_RENEWAL_STATUS", "2026-03-01 11:00", "t1", 9990)["payload"])
    return json.dumps(payload | {"subtype": subtype})


NOTIFIED = ("paid", "renewed", "refunded", "declined", "unheard")
"""Trials whose payments no feed tells: they begin on 20 January and are over on 3 February."""

TOLD_TWICE = ("both", "night", "apart")
"""Trials of the same days whose charge the feed and Stripe tell, and of which one tells that it came back."""


def _land_told_twice(warehouse: Warehouse) -> None:
    def charged(number: int, name: str, occurred: str) -> Row:
        invoice = paid_invoice(f"t_{name}", f"a_t_{name}", 999, f"ch_{name}")
        return stripe(f"evt_b{number}", "invoice.paid", occurred, invoice)

    def refunded(number: int, name: str, occurred: str) -> Row:
        charge = of_charge(f"t_{name}", f"a_t_{name}", id=f"ch_{name}", amount=999, amount_refunded=999)
        return stripe(f"evt_b{number}", "charge.refunded", occurred, charge, {"amount_refunded": 0})

    warehouse.land("payments", [
        payment("t-both", "t_both", "2026-02-03 11:05"),
        payment("t-night", "t_night", "2026-02-04 00:01"),
        back("t-night-back", "t-night", "t_night", "2026-02-10 10:00", "9.99"),
        payment("t-apart", "t_apart", "2026-02-03 11:05"),
        # Three days after Stripe has told it.
        back("t-apart-back", "t-apart", "t_apart", "2026-02-13 10:00", "9.99"),
    ])  # fmt: skip
    warehouse.land("stripe_events", [
        charged(1, "both", "2026-02-03 11:00"), refunded(2, "both", "2026-02-10 10:00"),
        charged(3, "night", "2026-02-03 23:59"),
        charged(4, "apart", "2026-02-03 11:00"), refunded(5, "apart", "2026-02-10 10:00"),
    ])  # fmt: skip


def _land_notified(warehouse: Warehouse) -> None:
    trialled = (*NOTIFIED, *TOLD_TWICE)
    warehouse.land("accounts", [
        account(f"a_t_{name}", market="FI", since="2025-12-01 00:00") for name in (*trialled, "failing")
    ])  # fmt: skip
    trials = {name: {"provider": "app_store"} if name == "renewed" else {} for name in trialled}
    warehouse.land("subscription_events", [
        *(event(f"t_{name}", f"a_t_{name}", "trial_started", "2026-01-20 10:00", **eur("9.99"), **other)
          for name, other in trials.items()),
        *(event(f"t_{name}", f"a_t_{name}", "trial_converted", "2026-02-03 10:00", **other)
          for name, other in trials.items()),
        event("t_declined", "a_t_declined", "grace_started", "2026-02-03 11:00"),
        event("t_declined", "a_t_declined", "expired", "2026-02-20 10:00", reason="payment_failure"),
        event("t_failing", "a_t_failing", "started", "2026-02-04 10:00", **eur("9.99")),
    ])  # fmt: skip
    paid = {name: paid_invoice(f"t_{name}", f"a_t_{name}", 999, f"ch_{name}") for name in NOTIFIED}
    warehouse.land("stripe_events", [
        stripe("evt_t1", "invoice.paid", "2026-02-03 11:00", paid["paid"]),
        stripe("evt_t2", "invoice.paid", "2026-02-03 11:00", paid["refunded"]),
        stripe("evt_t3", "charge.refunded", "2026-02-10 10:00",
               of_charge("t_refunded", "a_t_refunded", id="ch_refunded", amount=999, amount_refunded=999),
               {"amount_refunded": 0}),
        stripe("evt_t4", "invoice.payment_failed", "2026-02-03 11:00", paid["declined"]),
        stripe("evt_t5", "invoice.payment_failed", "2026-03-04 10:00",
               paid_invoice("t_failing", "a_t_failing", 999)),
    ])  # fmt: skip
    warehouse.land("app_store_notifications", [
        apple("n_t1", "DID_RENEW", "2026-02-03 11:00", "t_t1", 9990,
              originalTransactionId="t_renewed", appAccountToken="a_t_renewed"),
    ])  # fmt: skip


def _land_given_up(warehouse: Warehouse) -> None:
    """Two trials that are given up on their third day: of four weeks, and of one."""
    terms = {"long": "2026-03-10 10:00", "short": "2026-02-17 10:00"}
    warehouse.land("accounts", [account(f"a_u_{name}", "NO", "2025-12-01 00:00") for name in terms])
    warehouse.land("subscription_events", [
        row
        for name, term in terms.items()
        for row in (
            event(f"u_{name}", f"a_u_{name}", "trial_started", "2026-02-10 10:00", trial_ends_at=at(term),
                  **eur("9.99")),
            event(f"u_{name}", f"a_u_{name}", "expired", "2026-02-12 10:00", reason="voluntary"),
        )
    ])  # fmt: skip


def land_payments(warehouse: Warehouse) -> None:
    """Plans, rates, accounts, subscriptions, and what was paid for them."""
    _land_notified(warehouse)
    _land_told_twice(warehouse)
    _land_given_up(warehouse)
    warehouse.land("plans", [plan("solo", "individual", "month"), plan("year", "family", "year")])
    warehouse.land("fx_rates", [
        rate("EUR", "1.125", on="2025-12-01"), rate("EUR", "1.2", on="2026-03-04"),
        rate("JPY", "0.006667", on="2025-12-01"),
    ])  # fmt: skip
    charged = ["failing", "back", "over", "lost", "won", "slow", "stripe", "both", "night", "gone", "grace"]
    warehouse.land("accounts", [
        *(account(f"a_{name}", since="2025-12-01 00:00") for name in ("plain", "store", "annual", *charged)),
        account("a_tester", since="2025-12-01 00:00", is_test=True),
        account("a_yen", market="JP", since="2025-12-01 00:00"),
        account("a_swiss", market="CH", since="2025-12-01 00:00"),
    ])  # fmt: skip
    warehouse.land("subscription_events", [
        event("plain", "a_plain", "trial_started", "2026-01-01 10:00", offer_id="winback", **eur("9.99")),
        event("plain", "a_plain", "trial_converted", "2026-02-01 10:00"),
        *(event(name, f"a_{name}", "started", "2026-02-01 10:00", **eur("9.99")) for name in charged),
        event("tester", "a_tester", "started", "2026-02-01 10:00", **eur("9.99")),
        event("store", "a_store", "started", "2025-02-01 10:00", provider="app_store",
              ingested_at=at("2025-12-01 00:00"), **eur("9.99")),
        event("annual", "a_annual", "started", "2026-03-02 10:00",
              **eur("99.90", interval="year", plan_id="year")),
        event("gone", "a_gone", "expired", "2026-03-03 10:00", reason="voluntary"),
        event("grace", "a_grace", "grace_started", "2026-03-01 10:00"),
        event("yen", "a_yen", "started", "2026-02-01 10:00", plan_id="solo", price_amount=Decimal(980),
              currency="JPY", interval="month"),
        event("swiss", "a_swiss", "started", "2026-02-01 10:00", plan_id="solo", price_amount=Decimal(9),
              currency="CHF", interval="month"),
    ])  # fmt: skip
    pending = payment("slow-1", "slow", "2026-03-01 09:00", status="pending")
    warehouse.land("payments", [
        payment("plain-1", "plain", "2026-03-01 10:00"),
        payment("failing-1", "failing", "2026-03-01 10:00", status="failed", decline_code="expired_card"),
        back("failing-2", "failing-1", "failing", "2026-03-02 10:00", "9.99"),
        payment("back-1", "back", "2026-02-26 10:00"),
        back("back-2", "back-1", "back", "2026-03-01 10:00", "9.99"),
        back("back-3", "back-1", "back", "2026-03-01 11:00", "9.99"),
        payment("over-1", "over", "2026-02-26 10:00", "10"),
        back("over-2", "over-1", "over", "2026-03-01 10:00", "6"),
        back("over-3", "over-1", "over", "2026-03-02 10:00", "6"),
        payment("lost-1", "lost", "2026-02-26 10:00"),
        back("lost-2", "lost-1", "lost", "2026-03-01 10:00", "9.99", status="pending") | {"kind": "dispute"},
        back("lost-2", "lost-1", "lost", "2026-03-04 10:00", "9.99") | {"kind": "dispute"},
        payment("won-1", "won", "2026-02-26 10:00"),
        back("won-2", "won-1", "won", "2026-03-03 10:00", "9.99", status="failed") | {"kind": "dispute"},
        # Pending, delivered twice, and settled two days later; another that settles on its day.
        pending, pending | {"ingested_at": at("2026-03-02 10:00")},
        payment("slow-1", "slow", "2026-03-03 10:00"),
        payment("slow-2", "slow", "2026-02-26 08:00", status="failed"),
        payment("slow-2", "slow", "2026-02-26 09:00", attempt=2),
        payment("tester-1", "tester", "2026-03-01 10:00"),
        payment("yen-1", "yen", "2026-03-01 10:00", "980", currency="JPY"),
        payment("swiss-1", "swiss", "2026-03-01 10:00", "9", currency="CHF"),
        payment("nobody-1", "nobody", "2026-03-01 10:00", "5"),
        payment("both-1", "both", "2026-03-01 10:00"),
        payment("night-1", "night", "2026-03-02 00:01"),
        payment("annual-1", "annual", "2026-03-02 10:00", "99.90"),
        payment("gone-1", "gone", "2026-03-01 10:00"),
    ])  # fmt: skip
    warehouse.land("stripe_events", [
        stripe("evt_1", "invoice.paid", "2026-02-26 10:00", paid_invoice("stripe", "a_stripe", 1000, "ch_1")),
        stripe("evt_2", "invoice.payment_failed", "2026-02-26 09:00",
               paid_invoice("stripe", "a_stripe", 1000)),
        stripe("evt_3", "charge.refunded", "2026-03-01 10:00",
               of_charge("stripe", "a_stripe", id="ch_1", amount=1000, amount_refunded=300),
               {"amount_refunded": 0}),
        stripe("evt_4", "charge.refunded", "2026-03-02 10:00",
               of_charge("stripe", "a_stripe", id="ch_1", amount=1000, amount_refunded=500),
               {"amount_refunded": 300}),
        # The same money under the refund's own id.
        stripe("evt_5", "refund.created", "2026-03-02 10:00",
               of_charge("stripe", "a_stripe", id="re_2", amount=200, charge="ch_1")),
        stripe("evt_6", "refund.failed", "2026-03-03 10:00",
               of_charge("stripe", "a_stripe", id="re_2", amount=200, charge="ch_1")),
        *(
            stripe(f"evt_{n}", f"charge.dispute.{kind}", occurred,
                   of_charge("stripe", "a_stripe", id="dp_1", amount=1000, charge="ch_1", status=status))
            for n, kind, occurred, status in (
                (7, "created", "2026-03-01 12:00", "needs_response"),
                (8, "funds_withdrawn", "2026-03-01 12:01", "needs_response"),
                (9, "closed", "2026-03-04 12:00", "won"),
                (10, "funds_reinstated", "2026-03-04 12:01", "won"),
            )
        ),
        stripe("evt_11", "invoice.paid", "2026-03-01 10:00", paid_invoice("both", "a_both", 999)),
        stripe("evt_12", "invoice.paid", "2026-03-01 23:59", paid_invoice("night", "a_night", 999)),
        stripe("evt_13", "invoice.paid", "2026-03-01 10:00", paid_invoice("plain", "a_plain", 0)),
        # Nothing comes back that was never taken.
        stripe("evt_14", "refund.failed", "2026-03-03 10:00",
               of_charge("plain", "a_plain", id="re_9", amount=200, charge="ch_9")),
        stripe("evt_15", "charge.refunded", "2026-03-03 10:00",
               of_charge("plain", "a_plain", id="ch_8", amount="?", amount_refunded="?")),
    ])  # fmt: skip
    warehouse.land("app_store_notifications", [
        apple("n1", "DID_RENEW", "2026-03-01 10:00", "t1", 9990),
        apple("n1b", "DID_CHANGE_RENEWAL_STATUS", "2026-03-01 11:00", "t1", 9990)
        | {"payload": _with_subtype("AUTO_RENEW_DISABLED")},
        apple("n2", "REFUND", "2026-03-02 10:00", "t1", 9990, revocationPercentage=33333),
        apple("n3", "REFUND_REVERSED", "2026-03-04 10:00", "t1", 9990),
    ])  # fmt: skip
