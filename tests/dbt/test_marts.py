"""Literal raw rows, one dbt build over March 2026, exact rows of every mart."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from loaders.warehouse.build import BuildError, unit_test
from tests.dbt.conftest import (
    Row,
    Warehouse,
    WarehouseFactory,
    account,
    at,
    day,
    event,
    plan,
    rate,
)  # fmt: skip
from tests.marts import MARTS

AS_OF = "2026-03-10"


def eur(amount: str, interval: str = "month", plan_id: str = "solo") -> dict[str, Any]:
    """The price columns of an event in euro."""
    return {"plan_id": plan_id, "price_amount": Decimal(amount), "currency": "EUR", "interval": interval}


def impression(number: int, account_id: str, occurred: str, offer_id: str = "trial-30-days") -> Row:
    return {
        "impression_id": f"imp_{number}", "account_id": account_id, "offer_id": offer_id, "surface": "home",
        "market": "SE", "occurred_at": at(occurred), "ingested_at": at(occurred) + timedelta(minutes=5),
    }  # fmt: skip


def listening(account_id: str, on: str, streams: int) -> Row:
    return {
        "account_id": account_id, "day": day(on), "streams": streams, "ms_played": streams * 180_000,
        "ad_ms": streams * 10_000, "skips_blocked": None, "ingested_at": at(f"{on} 23:59"),
    }  # fmt: skip


def land_march(warehouse: Warehouse) -> None:
    """Every lifecycle that the tests below look at, one subscription each."""
    warehouse.land("plans", [plan("solo", "individual", "month"), plan("home", "family", "month")])
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
        # Price, currency and interval change in mid-life.
        event("moves", "a_moves", "started", "2026-02-15 00:00", **eur("9.99")),
        event("moves", "a_moves", "plan_changed", "2026-03-02 06:00", plan_id="home",
              price_amount=Decimal("9800"), currency="JPY", interval="year"),
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
    ])  # fmt: skip
    names = "trial midnight brief grace late moves old new upside lapsed family member free deleted silent"
    warehouse.land("accounts", [
        *(account(f"a_{name}") for name in names.split()),
        account("a_old", merged_into="a_new", ingested_at=at("2026-03-03 05:00")),
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
        impression(4, "a_tester", "2026-03-02 09:00"),
        impression(5, "a_stranger", "2026-03-02 09:00"),
    ])  # fmt: skip
    warehouse.land("offer_clicks", [
        {"click_id": "clk_1", "impression_id": "imp_1", "account_id": "a_trial", "offer_id": "trial-30-days",
         "surface": "home", "market": "SE", "occurred_at": at("2026-03-01 09:30"),
         "ingested_at": at("2026-03-01 09:31")},
    ])  # fmt: skip
    warehouse.land("payments", [
        {"payment_id": "pay_1", "subscription_id": "trial", "kind": "charge", "amount": Decimal("9.99"),
         "currency": "EUR", "status": "succeeded", "attempt": 1, "occurred_at": at("2026-03-03 10:00"),
         "ingested_at": at("2026-03-03 10:05")},
    ])  # fmt: skip
    warehouse.land("engagement_daily", [
        listening(name, "2026-03-01", 240) for name in ("a_free", "a_deleted", "a_silent")
    ])  # fmt: skip
    warehouse.land("consents", [
        {"account_id": "a_silent", "purpose": "marketing", "granted": False,
         "occurred_at": at("2026-03-02 12:00"), "ingested_at": at("2026-03-02 12:01")},
    ])  # fmt: skip
    warehouse.land("deletion_requests", [
        {"request_id": "del_1", "account_id": "a_deleted", "requested_at": at("2026-03-03 12:00"),
         "ingested_at": at("2026-03-03 12:01")},
    ])  # fmt: skip


@pytest.fixture(scope="module")
def march(new_warehouse: WarehouseFactory) -> Warehouse:
    """1 to 5 March, built as one range from what had arrived by 10 March."""
    warehouse = new_warehouse("dbt-march")
    land_march(warehouse)
    warehouse.build("2026-03-01", "2026-03-05", AS_OF)
    return warehouse


def subscription_days(warehouse: Warehouse, subscription_id: str, columns: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "audit_20260305.fct_subscription_daily",
        f"extract(day from snapshot_date) as day, {columns}",
        "1",
        f"subscription_id = '{subscription_id}' and snapshot_date between '2026-03-01' and '2026-03-05'",
    )


EDGES = "state, was_active_at_day_start, was_active_at_day_end, mrr_usd_amount"


def test_a_trial_pays_nothing_and_a_cancelled_subscription_runs_to_its_end(march: Warehouse) -> None:
    assert subscription_days(march, "trial", f"{EDGES}, is_auto_renew") == [
        (1, "trial", False, True, "0.00", True),
        (2, "trial", True, True, "0.00", True),
        (3, "active", True, True, "11.24", True),
        (4, "active", True, True, "11.99", False),
        (5, "active", True, False, "0.00", False),
    ]


def test_an_end_at_midnight_leaves_no_row_for_the_day_that_begins(march: Warehouse) -> None:
    assert subscription_days(march, "midnight", f"mrr_amount, {EDGES}") == [
        (1, "8.32", "active", True, True, "9.36"),
        (2, "8.32", "active", True, True, "9.36"),
    ]


def test_start_and_end_within_a_day_make_one_row_with_both_edges_false(march: Warehouse) -> None:
    assert subscription_days(march, "brief", EDGES) == [(2, "active", False, False, "0.00")]


def test_grace_is_paid_and_billing_retry_is_not_entitled(march: Warehouse) -> None:
    assert subscription_days(march, "grace", EDGES) == [
        (1, "grace", True, True, "11.25"),
        (2, "grace", True, False, "0.00"),
        (4, "active", False, True, "12.00"),
        (5, "active", True, True, "12.00"),
    ]


def test_a_redelivered_event_changes_nothing(march: Warehouse) -> None:
    assert [row[0] for row in subscription_days(march, "late", "state")] == [1, 2, 3]


def test_what_happened_last_counts_whatever_its_kind(march: Warehouse) -> None:
    assert [row[0] for row in subscription_days(march, "upside", "state")] == [2, 3, 4, 5]


def test_plan_currency_and_market_change_from_their_day_on(march: Warehouse) -> None:
    columns = "market, plan_kind, currency, mrr_amount, mrr_usd_amount"
    assert subscription_days(march, "moves", columns)[:2] == [
        (1, "SE", "individual", "EUR", "9.99", "11.24"),
        (2, "JP", "family", "JPY", "816.67", "5.44"),
    ]


def test_a_merge_moves_the_subscription_from_the_day_it_arrives(march: Warehouse) -> None:
    assert subscription_days(march, "merged", "account_id") == [
        (1, "a_old"), (2, "a_old"), (3, "a_new"), (4, "a_new"), (5, "a_new"),
    ]  # fmt: skip


def test_test_accounts_are_set_apart_and_unknown_accounts_are_kept(march: Warehouse) -> None:
    assert subscription_days(march, "tester", "market") == []
    assert subscription_days(march, "nobody", "market, mrr_amount")[0] == (2, "ZZ", "12.96")


def test_members_are_subscribers_while_they_belong_to_an_entitled_plan(march: Warehouse) -> None:
    days = march.rows(
        "audit_20260305.fct_subscriber_daily",
        "account_id, extract(day from snapshot_date) as day, is_payer, is_member, was_active_at_day_end, "
        "mrr_usd_amount",
        "account_id, day",
        "account_id in ('a_family', 'a_member') and snapshot_date between '2026-03-01' and '2026-03-03'",
    )
    assert days == [
        ("a_family", 1, True, False, True, "18.00"),
        ("a_family", 2, True, False, True, "18.00"),
        ("a_family", 3, True, False, True, "18.00"),
        ("a_member", 1, False, True, True, "0.00"),
        ("a_member", 2, False, True, False, "0.00"),
    ]


def test_the_aggregate_closes_the_day(march: Warehouse) -> None:
    cells = march.rows(
        "audit_20260305.agg_subscribers_daily",
        "market, plan_kind, currency, active_subscriptions, paid_subscriptions, trial_subscriptions, payers, "
        "mrr_amount",
        "1, 2, 3",
        "snapshot_date = '2026-03-02'",
    )
    assert cells == [
        ("JP", "family", "JPY", 1, 1, 0, 1, "816.67"),
        # midnight 8.32, late 7, merged 4, upside 6, and the trial; brief and grace ended within the day.
        ("SE", "family", "EUR", 1, 1, 0, 1, "16.00"),
        ("SE", "individual", "EUR", 5, 4, 1, 5, "25.32"),
        ("ZZ", "individual", "EUR", 1, 1, 0, 1, "12.96"),
    ]


def test_the_last_touch_is_credited_with_the_trial_and_its_payment(march: Warehouse) -> None:
    journeys = march.rows(
        "audit_20260305.fct_offer_journey",
        "account_id, offer_id, impressions, clicks, conversion_type, is_last_touch_conversion, paid_at, "
        "revenue_usd_amount, is_mature",
        "1, 2",
    )
    assert journeys == [
        ("a_free", "trial-30-days", 1, 0, None, False, None, "0.00", True),
        ("a_trial", "trial-30-days", 1, 1, "trial", True, "2026-03-03 10:00", "11.24", True),
        ("a_trial", "winback-3-months", 1, 0, "trial", False, "2026-03-03 10:00", "11.24", True),
    ]


def test_conversions_add_up_over_offers(march: Warehouse) -> None:
    cells = march.rows(
        "audit_20260305.agg_conversions_daily",
        "journey_date, offer_id, reach, clicks, trials, paid, revenue_usd_amount, mature_reach",
        "1, 2",
    )
    assert cells == [
        ("2026-03-01", "trial-30-days", 1, 1, 1, 1, "11.24", 1),
        ("2026-03-01", "winback-3-months", 1, 0, 0, 0, "0.00", 1),
        ("2026-03-02", "trial-30-days", 1, 0, 0, 0, "0.00", 1),
    ]


def test_segments_offer_or_say_why_not(march: Warehouse) -> None:
    found = march.query(
        "select account_id, offers, suppressed_reason from audit_20260305.offer_segments "
        "where segment_date = '2026-03-05' order by account_id"
    )
    segments = [
        (row["account_id"], [(o["offer_id"], o["priority"]) for o in row["offers"]], row["suppressed_reason"])
        for row in found
    ]
    assert segments == [
        ("a_deleted", [], "DELETION_REQUESTED"),
        ("a_free", [("trial-30-days", 20)], None),
        ("a_lapsed", [("winback-3-months", 10)], None),
        ("a_silent", [], "NO_CONSENT"),
    ]


def test_days_built_alone_backwards_or_twice_are_the_days_of_the_range(march: Warehouse) -> None:
    def partitions(dataset: str, on: str) -> dict[str, str]:
        return {
            mart: march.fingerprint(f"{dataset}.{mart}", f"{column} = '{on}'" if column else "true")
            for mart, column in MARTS.items()
            if mart != "agg_retention_cohorts"
        } | {"agg_retention_cohorts": march.fingerprint(f"{dataset}.agg_retention_cohorts", "true")}

    ranged = {on: partitions("audit_20260305", on) for on in ("2026-03-01", "2026-03-02", "2026-03-03")}
    # No trial started on the second; everything else has rows.
    assert [mart for mart, rows in ranged["2026-03-02"].items() if not rows] == ["agg_trial_outcomes"]
    for on in ("2026-03-03", "2026-03-02"):
        assert partitions(march.build(on, on, AS_OF), on) == ranged[on]
    # Again, over what is there: a partition is replaced, not added to, and its neighbours stay.
    march.build("2026-03-01", "2026-03-05", AS_OF)
    assert {on: partitions("audit_20260305", on) for on in ranged} == ranged


def test_a_day_that_lost_its_rows_becomes_empty(march: Warehouse) -> None:
    march.query("delete from raw.subscription_events where subscription_id = 'brief'")
    history = ["int_subscription_events", "int_subscription_versions", "int_subscription_periods"]
    days = ["int_subscription_days", "fct_subscription_daily"]
    march.build("2026-03-05", "2026-03-05", AS_OF, [*history, *days])
    assert subscription_days(march, "brief", "state") != []
    march.build("2026-03-01", "2026-03-05", AS_OF, days)
    assert subscription_days(march, "brief", "state") == []


def test_the_unit_tests_of_the_models_pass(march: Warehouse) -> None:
    unit_test(march.settings, day("2026-03-01"), day("2026-03-05"), day(AS_OF))


def test_a_failing_node_is_named_with_its_reason(march: Warehouse) -> None:
    march.query("drop view audit_20260305.stg_billing__plans")
    with pytest.raises(BuildError, match=r"model int_subscription_days: error: .*stg_billing__plans"):
        march.build("2026-03-05", "2026-03-05", AS_OF, select=["int_subscription_days"])
