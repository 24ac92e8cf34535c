"""What happened in March 2026: events, movements of revenue, trials, cohorts and dimensions, row by row."""

from __future__ import annotations

from typing import Any

from tests.dbt.conftest import Warehouse


def built(march: Warehouse, mart: str, columns: str, where: str, order_by: str) -> list[tuple[Any, ...]]:
    return march.rows(f"audit_20260305.{mart}", columns, order_by, where)


def subscription_events(march: Warehouse, subscription_id: str) -> list[tuple[Any, ...]]:
    return built(
        march,
        "fct_subscription_event",
        "extract(day from event_date), event_type, from_state, to_state, transition, mrr_before_amount, "
        "mrr_after_amount, end_reason",
        f"subscription_id = '{subscription_id}' and event_date between '2026-03-01' and '2026-03-05'",
        "occurred_at",
    )


def test_a_life_is_told_by_its_events(march: Warehouse) -> None:
    assert subscription_events(march, "trial") == [
        (1, "trial_started", None, "trial", "started", "0.00", "0.00", None),
        (3, "trial_converted", "trial", "active", "converted", "0.00", "9.99", None),
        (4, "auto_renew_off", "active", "active", "unchanged", "9.99", "9.99", None),
        (5, "expired", "active", "ended", "ended", "9.99", "0.00", "voluntary"),
    ]


def test_a_payment_failure_that_grace_does_not_save_is_an_involuntary_end(march: Warehouse) -> None:
    assert subscription_events(march, "grace") == [
        (1, "grace_started", "active", "grace", "state_changed", "10.00", "10.00", None),
        (2, "billing_retry_started", "grace", "billing_retry", "ended", "10.00", "0.00", "involuntary"),
        (4, "recovered", "billing_retry", "active", "returned", "0.00", "10.00", None),
    ]


def test_an_end_before_the_start_ends_nothing(march: Warehouse) -> None:
    assert subscription_events(march, "upside") == [
        (2, "expired", None, "ended", "state_changed", "0.00", "0.00", None),
        (2, "started", "ended", "active", "started", "0.00", "6.00", None),
    ]


def test_what_is_excluded_has_no_events(march: Warehouse) -> None:
    assert subscription_events(march, "tester") == []


def test_the_day_tells_who_moved_how_much_and_why(march: Warehouse) -> None:
    moved = built(
        march,
        "fct_subscriber_daily",
        "account_id, extract(day from snapshot_date) as day, is_subscriber, movement, "
        "coalesce(churn_reason, movement_reason), movement_usd_amount, fx_usd_amount",
        "snapshot_date between '2026-03-01' and '2026-03-05' and (movement != 'none' or fx_usd_amount != 0)",
        "1, 2",
    )
    assert moved == [
        ("a_family", 4, True, "none", None, "0.00", "1.20"),
        ("a_grace", 2, True, "churn", "involuntary", "-11.25", "0.00"),
        ("a_grace", 4, True, "reactivation", "recovery", "12.00", "0.00"),
        ("a_late", 1, True, "new", None, "7.88", "0.00"),
        ("a_late", 3, True, "churn", "other", "-7.88", "0.00"),
        # Ended exactly at midnight: no subscriber of the day, but its churn is of the day.
        ("a_midnight", 1, True, "new", None, "9.36", "0.00"),
        ("a_midnight", 3, False, "churn", "other", "-9.36", "0.00"),
        # From 9.99 EUR in Sweden to 9,800 JPY a year in Japan.
        ("a_moves", 2, True, "contraction", "downgrade", "-5.80", "0.00"),
        ("a_new", 4, True, "none", None, "0.00", "0.30"),
        ("a_nobody", 2, True, "new", None, "14.58", "0.00"),
        ("a_nobody", 4, True, "none", None, "0.00", "0.97"),
        # The list price of what no event prices became known; of the other nobody knows one.
        ("a_prepaid", 4, True, "expansion", "price", "0.60", "0.68"),
        ("a_priceless", 2, True, "new", None, "0.00", "0.00"),
        ("a_tardy", 3, True, "new", None, "9.00", "0.00"),
        ("a_tardy", 4, True, "none", None, "0.00", "0.60"),
        ("a_trial", 3, True, "new", None, "11.24", "0.00"),
        ("a_trial", 4, True, "none", None, "0.00", "0.75"),
        ("a_trial", 5, True, "churn", "voluntary", "-11.99", "0.00"),
        ("a_upside", 2, True, "new", None, "6.75", "0.00"),
        ("a_upside", 4, True, "none", None, "0.00", "0.45"),
    ]


def movements(march: Warehouse, on: str) -> list[tuple[Any, ...]]:
    return built(
        march,
        "agg_mrr_movements_daily",
        "movement, churn_reason, market, plan_kind, currency, accounts, mrr_amount, mrr_usd_amount",
        f"snapshot_date = '{on}'",
        "1, 3, 4",
    )


def test_a_change_of_cell_leaves_one_and_enters_the_other(march: Warehouse) -> None:
    assert movements(march, "2026-03-02") == [
        ("churn", "involuntary", "SE", "individual", "EUR", 1, "-10.00", "-11.25"),
        ("contraction", None, "JP", "family", "JPY", 1, "816.67", "5.44"),
        ("contraction", None, "SE", "individual", "EUR", 1, "-9.99", "-11.24"),
        ("new", None, "FI", "family", None, 1, "0.00", "0.00"),
        ("new", None, "SE", "individual", "EUR", 1, "6.00", "6.75"),
        ("new", None, "ZZ", "individual", "EUR", 1, "12.96", "14.58"),
    ]


def test_exchange_rates_are_a_movement_of_their_own(march: Warehouse) -> None:
    assert movements(march, "2026-03-04") == [
        ("expansion", None, "FI", "individual", "EUR", 1, "0.50", "0.60"),
        ("fx", None, "FI", "individual", "EUR", 1, "0.00", "0.68"),
        ("fx", None, "NO", "individual", "EUR", 1, "0.00", "0.60"),
        ("fx", None, "SE", "family", "EUR", 1, "0.00", "1.20"),
        ("fx", None, "SE", "individual", "EUR", 3, "0.00", "1.50"),
        ("fx", None, "ZZ", "individual", "EUR", 1, "0.00", "0.97"),
        ("reactivation", None, "SE", "individual", "EUR", 1, "10.00", "12.00"),
    ]


def test_a_cell_opens_with_what_it_closed_with(march: Warehouse) -> None:
    flows = built(
        march,
        "agg_subscribers_daily",
        "extract(day from snapshot_date) as day, opening_subscriptions, starts, ends, moves_in, moves_out, "
        "active_subscriptions",
        "market = 'SE' and plan_kind = 'individual' and snapshot_date between '2026-03-01' and '2026-03-05'",
        "1",
    )
    assert flows == [
        (1, 3, 3, 0, 0, 0, 6),
        (2, 6, 1, 1, 0, 1, 5),
        (3, 5, 0, 2, 0, 0, 3),
        (4, 3, 1, 0, 0, 0, 4),
        (5, 4, 0, 1, 0, 0, 3),
    ]


def test_a_paid_trial_is_converted_before_it_is_mature(march: Warehouse) -> None:
    outcomes = built(
        march,
        "agg_trial_outcomes",
        "market, plan_kind, started, converted, pending, abandoned, mature_started",
        "trial_start_date = '2026-03-01'",
        "1",
    )
    assert outcomes == [("SE", "individual", 1, 1, 0, 0, 0)]


def test_cohorts_keep_their_size_and_say_whether_the_month_is_over(march: Warehouse) -> None:
    cohorts = built(
        march,
        "agg_retention_cohorts",
        "extract(month from activity_month) as month, extract(month from cohort_month) as cohort, market, "
        "plan_kind, cohort_accounts, retained_accounts, is_complete",
        "true",
        "1, 2, 3, 4",
    )
    assert cohorts == [
        (2, 1, "SE", "individual", 1, 0, True),
        (2, 2, "FI", "individual", 1, 1, True),
        (2, 2, "JP", "individual", 1, 1, True),
        (2, 2, "SE", "family", 1, 1, True),
        (2, 2, "SE", "individual", 2, 2, True),
        (3, 1, "SE", "individual", 1, 0, False),
        (3, 2, "FI", "individual", 1, 1, False),
        (3, 2, "JP", "individual", 1, 1, False),
        (3, 2, "SE", "family", 1, 1, False),
        (3, 2, "SE", "individual", 2, 2, False),
        (3, 3, "FI", "family", 1, 1, False),
        (3, 3, "NO", "individual", 1, 1, False),
        (3, 3, "SE", "individual", 5, 1, False),
        (3, 3, "ZZ", "individual", 1, 1, False),
    ]


def test_a_day_measures_who_paid_first_so_many_days_before(march: Warehouse) -> None:
    measured = built(
        march,
        "agg_retention_days",
        "measured_date, day_number, cohort_date, plan_kind, cohort_accounts, retained_accounts",
        "true",
        "1, 2, 4",
    )
    # The first charge after the month failed on the 2nd; it is recovered on the 4th.
    assert measured == [
        ("2026-03-03", 30, "2026-02-01", "family", 1, 1),
        ("2026-03-03", 30, "2026-02-01", "individual", 1, 0),
    ]


def test_an_account_keeps_what_it_was(march: Warehouse) -> None:
    versions = built(
        march,
        "dim_account",
        "account_id, valid_from_date, valid_to_date, market, resolved_account_id, is_current",
        "account_id in ('a_moves', 'a_old', 'a_tester')",
        "1, 2",
    )
    assert versions == [
        ("a_moves", "0001-01-01", "2026-03-02", "SE", "a_moves", False),
        ("a_moves", "2026-03-02", "9999-12-31", "JP", "a_moves", True),
        ("a_old", "0001-01-01", "2026-03-03", "SE", "a_old", False),
        ("a_old", "2026-03-03", "9999-12-31", "SE", "a_new", True),
    ]


def test_merges_of_any_length_lead_to_the_survivor_and_a_circle_is_kept_with_its_reason(
    march: Warehouse,
) -> None:
    versions = built(
        march,
        "dim_account",
        "account_id, valid_from_date, merged_into_account_id, resolved_account_id, resolved_market, "
        "merge_refused_reason",
        "account_id in ('a_first', 'a_third', 'a_ring', 'a_rang')",
        "1, 2",
    )
    assert versions == [
        ("a_first", "0001-01-01", "a_second", "a_old", "SE", None),
        ("a_first", "2026-03-03", "a_second", "a_new", "SE", None),
        ("a_rang", "0001-01-01", "a_ring", "a_rang", "NO", "no_survivor"),
        ("a_ring", "0001-01-01", "a_rang", "a_ring", "SE", "no_survivor"),
        ("a_third", "0001-01-01", "a_old", "a_old", "SE", None),
        ("a_third", "2026-03-03", "a_old", "a_new", "SE", None),
    ]


def test_a_plan_has_a_row_for_each_of_its_prices(march: Warehouse) -> None:
    prices = built(
        march,
        "dim_plan",
        "plan_id, market, currency, valid_from_date, is_current, list_price_amount, "
        "monthly_list_price_amount, is_tax_inclusive",
        "true",
        "1, 2, 4",
    )
    assert prices == [
        ("home", None, None, None, False, None, None, None),
        ("solo", "FI", "EUR", "2026-01-01", False, "9.00", "9.00", True),
        ("solo", "FI", "EUR", "2026-03-02", True, "9.50", "9.50", True),
        ("solo", "SE", "EUR", "2026-01-01", False, "9.49", "9.49", True),
        ("solo", "SE", "EUR", "2026-03-04", True, "9.99", "9.99", True),
    ]


def test_revenue_is_also_kept_net_of_tax_and_fees(march: Warehouse) -> None:
    """Sweden's 25 % is taken out of 9.99 EUR; Stripe's share of the remainder follows from its dated fee."""
    net = built(
        march,
        "fct_subscription_daily",
        "mrr_amount, net_mrr_amount",
        "subscription_id = 'trial' and snapshot_date = '2026-03-03'",
        "1",
    )
    assert net == [("9.99", "7.76")]
