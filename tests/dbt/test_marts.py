"""Literal raw rows, one dbt build over March 2026, exact rows of the marts."""

from __future__ import annotations

from tests.dbt.conftest import Warehouse
from tests.dbt.march import subscription_days

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


def test_a_price_that_no_event_tells_is_the_list_price_of_the_day_as_the_day_knew_it(
    march: Warehouse,
) -> None:
    assert subscription_days(
        march, "prepaid", "is_paid, price_amount, currency, mrr_amount, mrr_usd_amount"
    ) == [
        (1, True, "9.00", "EUR", "9.00", "10.12"),
        (2, True, "9.00", "EUR", "9.00", "10.12"),
        (3, True, "9.00", "EUR", "9.00", "10.12"),
        (4, True, "9.50", "EUR", "9.50", "11.40"),
        (5, True, "9.50", "EUR", "9.50", "11.40"),
    ]


def test_a_price_that_nobody_tells_is_unknown_and_the_subscription_counts(march: Warehouse) -> None:
    columns = "is_paid, price_amount, currency, mrr_amount, mrr_usd_amount, net_mrr_usd_amount"
    assert subscription_days(march, "priceless", columns)[:1] == [(2, True, None, None, None, None, None)]
    payer = march.rows(
        "audit_20260305.fct_subscriber_daily",
        "is_paid, subscription_count, mrr_usd_amount, movement, movement_usd_amount",
        "1",
        "account_id = 'a_priceless' and snapshot_date = '2026-03-02'",
    )
    assert payer == [(True, 1, "0.00", "new", "0.00")]


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
        "unpriced_subscriptions, mrr_amount",
        "1, 2, 3",
        "snapshot_date = '2026-03-02'",
    )
    assert cells == [
        ("FI", "family", None, 1, 1, 0, 1, 1, "0.00"),
        ("FI", "individual", "EUR", 1, 1, 0, 1, 0, "9.00"),
        ("JP", "family", "JPY", 1, 1, 0, 1, 0, "816.67"),
        # midnight 8.32, late 7, merged 4, upside 6, and the trial; brief and grace ended within the day.
        ("SE", "family", "EUR", 1, 1, 0, 1, 0, "16.00"),
        ("SE", "individual", "EUR", 5, 4, 1, 5, 0, "25.32"),
        ("ZZ", "individual", "EUR", 1, 1, 0, 1, 0, "12.96"),
    ]


def test_the_last_touch_is_credited_with_the_trial_and_its_payment(march: Warehouse) -> None:
    journeys = march.rows(
        "audit_20260305.fct_offer_journey",
        "account_id, offer_id, impressions, clicks, conversion_type, is_last_touch_conversion, paid_at, "
        "revenue_usd_amount, end_reason, is_mature",
        "1, 2",
    )
    assert journeys == [
        ("a_free", "trial-30-days", 1, 0, None, False, None, "0.00", "quiet", True),
        ("a_trial", "trial-30-days", 1, 1, "trial", True, "2026-03-03 10:00", "11.24", "converted", True),
        ("a_trial", "winback-3-months", 1, 0, "trial", False, "2026-03-03 10:00", "11.24", "converted", True),
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


def test_what_is_paid_of_trials_and_of_clicks_is_a_part_of_them(march: Warehouse) -> None:
    cells = march.rows(
        "audit_20260305.agg_conversions_daily",
        "offer_id, rule_id, mature_journeys, mature_clicked_journeys, mature_conversions, mature_trials, "
        "mature_trials_paid, mature_clicked_paid, mature_purchases, closed_journeys",
        "1",
        "journey_date = '2026-03-01'",
    )
    assert cells == [
        ("trial-30-days", "none", 1, 1, 1, 1, 1, 1, 0, 0),
        ("winback-3-months", "none", 1, 0, 0, 0, 0, 0, 0, 0),
    ]


def test_the_funnel_tells_how_far_journeys_came_and_how_long_it_took(march: Warehouse) -> None:
    stages = march.rows(
        "audit_20260305.agg_conversion_funnel",
        "stage, from_stage, journeys, from_journeys, settled_journeys, settled_dropped_journeys, "
        "median_seconds",
        "stage_number",
        "journey_date = '2026-03-01' and offer_id = 'trial-30-days'",
    )
    # The 45 days are not over: what is paid is counted, and no rate can be given yet.
    assert stages == [
        ("impression", None, 1, None, 1, None, None),
        ("click", "impression", 1, 1, 1, 0, 5400),
        ("checkout", "click", 0, 1, 0, 1, None),
        ("start", "impression", 1, 1, 1, 0, 7200),
        ("trial", "impression", 1, 1, 1, 0, 7200),
        ("trial_paid", "trial", 1, 1, 0, 0, None),
        ("paid", "impression", 1, 1, 0, 0, None),
        ("refund", "paid", 0, 1, 0, 0, None),
        ("chargeback", "paid", 0, 1, 0, 0, None),
    ]
