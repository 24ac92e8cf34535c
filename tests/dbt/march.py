"""Raw rows of March 2026 with every lifecycle that the marts' tests look at."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.dbt.conftest import Row, Warehouse, account, at, day, event, plan, rate

AS_OF = "2026-03-10"


def eur(amount: str, interval: str = "month", plan_id: str = "solo") -> dict[str, Any]:
    """The price columns of an event in euro."""
    return {"plan_id": plan_id, "price_amount": Decimal(amount), "currency": "EUR", "interval": interval}


def impression(number: int, account_id: str, occurred: str, offer_id: str = "trial-30-days") -> Row:
    return {
        "impression_id": f"imp_{number}", "account_id": account_id, "offer_id": offer_id, "surface": "home",
        "market": "SE", "occurred_at": at(occurred), "ingested_at": at(occurred) + timedelta(minutes=5),
    }  # fmt: skip


def payment(number: int, subscription_id: str, occurred: str, amount: str, **other: Any) -> Row:
    """A charge in euro that succeeded, unless told otherwise."""
    row = {
        "payment_id": f"pay_{number}", "subscription_id": subscription_id, "kind": "charge",
        "amount": Decimal(amount), "currency": "EUR", "status": "succeeded", "attempt": 1,
        "occurred_at": at(occurred), "ingested_at": at(occurred) + timedelta(minutes=5),
    }  # fmt: skip
    return row | other


def listening(account_id: str, on: str, streams: int) -> Row:
    return {
        "account_id": account_id, "day": day(on), "streams": streams, "ms_played": streams * 180_000,
        "ad_ms": streams * 10_000, "skips_blocked": None, "ingested_at": at(f"{on} 23:59"),
    }  # fmt: skip


def entry(entry_id: str, version: int = 1, since: str = "2026-01-01 00:00") -> Row:
    """A published entry of the content system, in the fallback language."""
    return {
        "source": "contentful", "entry_id": entry_id, "locale": "en-US", "content_type": "offer",
        "content_version": version, "is_published": True, "is_deleted": False, "published_at": at(since),
        "fields": "{}", "ingested_at": at(since),
    }  # fmt: skip


LISTENERS = ("a_free", "a_deleted", "a_silent", "a_held", "a_local5", "a_control12")


def land_march(warehouse: Warehouse) -> None:
    """Every lifecycle that the tests below look at, one subscription each."""
    warehouse.land("plans", [plan("solo", "individual", "month"), plan("home", "family", "month")])
    warehouse.land("plan_prices", [
        {"plan_id": "solo", "market": market, "currency": "EUR", "valid_from": day(since),
         "price_amount": Decimal(amount), "tax_inclusive": True, "ingested_at": at(f"{arrived} 00:00")}
        for market, since, arrived, amount in (
            ("SE", "2026-01-01", "2026-01-01", "9.49"), ("SE", "2026-03-04", "2026-03-04", "9.99"),
            # Valid since the second, heard of on the fourth.
            ("FI", "2026-01-01", "2026-01-01", "9.00"), ("FI", "2026-03-02", "2026-03-04", "9.50"),
        )
    ])  # fmt: skip
    warehouse.land("fx_rates", [
        rate("EUR", "1.125"), rate("EUR", "1.2", on="2026-03-04"), rate("JPY", "0.006667"),
    ])  # fmt: skip
    renewed = event("late", "a_late", "expired", "2026-03-03 12:00")
    warehouse.land("subscription_events", [
        # Trial, conversion, cancellation switched on, end in the middle of the day.
        event("trial", "a_trial", "trial_started", "2026-03-01 10:00", auto_renew=True, **eur("9.99")),
        event("trial", "a_trial", "trial_converted", "2026-03-03 10:00"),
        event("trial", "a_trial", "auto_renew_off", "2026-03-04 10:00", auto_renew=False),
        event("trial", "a_trial", "expired", "2026-03-05 10:00", reason="voluntary"),
        # Ends exactly at midnight.
        event("midnight", "a_midnight", "started", "2026-03-01 00:00", **eur("99.90", "year")),
        event("midnight", "a_midnight", "expired", "2026-03-03 00:00"),
        # Starts and ends within a day.
        event("brief", "a_brief", "started", "2026-03-02 08:00", **eur("5")),
        event("brief", "a_brief", "revoked", "2026-03-02 09:00"),
        # Grace keeps the price, billing retry and pause do not entitle, recovery does.
        event("grace", "a_grace", "started", "2026-02-01 00:00", **eur("10")),
        event("grace", "a_grace", "grace_started", "2026-03-01 12:00"),
        event("grace", "a_grace", "billing_retry_started", "2026-03-02 12:00"),
        event("grace", "a_grace", "recovered", "2026-03-04 12:00"),
        # The end is redelivered five days later with another time and must change nothing.
        event("late", "a_late", "started", "2026-03-01 12:00", **eur("7")),
        renewed,
        renewed | {"occurred_at": at("2026-03-04 12:00"), "ingested_at": at("2026-03-08 12:00")},
        # Price, currency and rhythm change in mid-life: a year, told in months.
        event("moves", "a_moves", "started", "2026-02-15 00:00", **eur("9.99")),
        event("moves", "a_moves", "plan_changed", "2026-03-02 06:00", plan_id="home",
              price_amount=Decimal("9800"), currency="JPY", interval="month", interval_count=12),
        # The held subscription of an account that is merged away on 3 March.
        event("merged", "a_old", "started", "2026-02-20 00:00", **eur("4")),
        # Expiry before start by the clock: what came last in time counts.
        event("upside", "a_upside", "started", "2026-03-02 10:00", **eur("6")),
        event("upside", "a_upside", "expired", "2026-03-02 08:00"),
        # Set apart, and unknown.
        event("tester", "a_tester", "started", "2026-03-01 00:00", **eur("1")),
        event("nobody", "a_nobody", "started", "2026-03-02 00:00", **eur("2.99", "week")),
        # Paid until a month ago: a winback.
        event("lapsed", "a_lapsed", "started", "2026-01-10 00:00", **eur("9.99")),
        event("lapsed", "a_lapsed", "expired", "2026-02-20 00:00"),
        event("family", "a_family", "started", "2026-02-01 00:00", **eur("16", plan_id="home")),
        # Paid, and nobody says how much; the catalogue knows a price of one of the plans.
        event("prepaid", "a_prepaid", "started", "2026-02-20 00:00", plan_id="solo"),
        event("priceless", "a_priceless", "started", "2026-03-02 00:00", plan_id="home"),
        # Heard of two days later.
        event("tardy", "a_tardy", "started", "2026-03-03 14:00", ingested_at=at("2026-03-05 10:00"),
              **eur("8")),
    ])  # fmt: skip
    names = "trial midnight brief grace late moves old new upside lapsed family member free deleted silent"
    # By their ids: out of everything, out of one rule, in an experiment's control arm.
    names += " held local5 control12"
    warehouse.land("accounts", [
        *(account(f"a_{name}") for name in names.split()),
        account("a_tardy", market="NO"),
        account("a_prepaid", market="FI"),
        account("a_priceless", market="FI"),
        account("a_old", merged_into="a_new", ingested_at=at("2026-03-03 05:00")),
        # Merged one after the other before that, and in a circle.
        account("a_first", merged_into="a_second"),
        account("a_second", merged_into="a_third"),
        account("a_third", merged_into="a_old"),
        account("a_ring", merged_into="a_rang"),
        account("a_rang", market="NO", merged_into="a_ring"),
        account("a_moves", market="JP", ingested_at=at("2026-03-02 05:00")),
        account("a_tester", is_employee=True),
    ])  # fmt: skip
    warehouse.land("plan_members", [
        {"subscription_id": "family", "account_id": "a_family", "role": "payer",
         "joined_at": at("2026-02-01 00:00"), "ingested_at": at("2026-02-01 01:00")},
        {"subscription_id": "family", "account_id": "a_member", "role": "member",
         "joined_at": at("2026-03-01 12:00"), "ingested_at": at("2026-03-01 13:00")},
        {"subscription_id": "family", "account_id": "a_member", "role": "member",
         "joined_at": at("2026-03-01 12:00"), "left_at": at("2026-03-02 18:00"),
         "ingested_at": at("2026-03-02 19:00")},
    ])  # fmt: skip
    warehouse.land("offer_impressions", [
        impression(1, "a_trial", "2026-03-01 08:00"),
        impression(2, "a_trial", "2026-03-01 09:00", "winback-3-months"),
        impression(3, "a_free", "2026-03-02 09:00"),
        impression(3, "a_free", "2026-03-02 09:00") | {"ingested_at": at("2026-03-06 09:00")},
        # A control arm's no-show: nobody saw it.
        impression(6, "a_free", "2026-03-03 09:00")
        | {"experiment_id": "trial-length-2026", "variant": "control", "is_shown": False},
        impression(4, "a_tester", "2026-03-02 09:00"),
        impression(5, "a_stranger", "2026-03-02 09:00"),
    ])  # fmt: skip
    warehouse.land("offer_clicks", [
        {"click_id": "clk_1", "impression_id": "imp_1", "account_id": "a_trial", "offer_id": "trial-30-days",
         "surface": "home", "market": "SE", "occurred_at": at("2026-03-01 09:30"),
         "ingested_at": at("2026-03-01 09:31")},
    ])  # fmt: skip
    refund = {"kind": "refund", "refunded_payment_id": "pay_3"}
    warehouse.land("payments", [
        payment(1, "trial", "2026-03-03 10:00", "9.99"),
        payment(2, "grace", "2026-03-01 12:00", "10", status="failed"),
        # Refunded twice.
        payment(3, "late", "2026-03-01 12:00", "7"),
        payment(4, "late", "2026-03-02 12:00", "7", **refund),
        payment(5, "late", "2026-03-02 13:00", "7", **refund),
        payment(6, "moves", "2026-03-02 06:00", "9800", currency="JPY"),
        payment(7, "family", "2026-03-02 09:00", "16"),
        payment(8, "family", "2026-03-04 09:00", "16", kind="dispute", refunded_payment_id="pay_7"),
    ])  # fmt: skip
    invoice = {
        "id": "in_1", "billing_reason": "manual", "currency": "eur", "amount_paid": 400,
        "parent": {"subscription_details": {"subscription": "merged", "metadata": {"account_id": "a_old"}}},
    }  # fmt: skip
    payload = {"id": "evt_in", "type": "invoice.paid", "livemode": True, "data": {"object": invoice}}
    warehouse.land("stripe_events", [
        {"event_id": "evt_in", "payload": json.dumps(payload), "occurred_at": at("2026-03-02 10:00"),
         "ingested_at": at("2026-03-02 10:01")},
    ])  # fmt: skip
    warehouse.land("engagement_daily", [
        *(listening(name, "2026-03-01", 240) for name in LISTENERS),
        # Arrives after all the days, and corrects one that was known.
        listening("a_free", "2026-03-02", 400) | {"ingested_at": at("2026-03-06 09:00")},
        listening("a_free", "2026-03-01", 10) | {"ingested_at": at("2026-03-06 09:00")},
    ])  # fmt: skip
    warehouse.land("content_entries", [
        entry("trial-30-days"), entry("winback-3-months"),
        # Known a day too late for the fifth.
        entry("winback-3-months", 2, "2026-03-06 10:00"),
        entry("annual-switch") | {"is_published": False},
    ])  # fmt: skip
    warehouse.land("consents", [
        {"account_id": "a_silent", "purpose": "marketing", "granted": False,
         "occurred_at": at("2026-03-02 12:00"), "ingested_at": at("2026-03-02 12:01")},
    ])  # fmt: skip
    warehouse.land("deletion_requests", [
        {"request_id": "del_1", "account_id": "a_deleted", "requested_at": at("2026-03-03 12:00"),
         "ingested_at": at("2026-03-03 12:01")},
    ])  # fmt: skip


def subscription_days(warehouse: Warehouse, subscription_id: str, columns: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "audit_20260305.fct_subscription_daily",
        f"extract(day from snapshot_date) as day, {columns}",
        "1",
        f"subscription_id = '{subscription_id}' and snapshot_date between '2026-03-01' and '2026-03-05'",
    )
