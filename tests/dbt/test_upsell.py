"""Moves between plans in March 2026, row by row: horizon 0 is the day's own, 30 what became of February's."""

from __future__ import annotations

from typing import Any

from tests.dbt.conftest import Warehouse

PLANS = (
    "from_plan_kind, from_billing_interval, to_plan_kind, to_billing_interval, "
    "to_billing_interval_count, market"
)


def moves(march: Warehouse, on: str, horizon_days: int, columns: str) -> list[tuple[Any, ...]]:
    return march.rows(
        "audit_20260305.agg_upsell_daily",
        f"move, {PLANS}, {columns}",
        "1, 2, 3, 4, 5, 6, 7",
        f"measured_date = '{on}' and horizon_days = {horizon_days}",
    )


def test_a_move_says_from_which_plan_to_which_with_the_revenue_before_and_after(march: Warehouse) -> None:
    columns = "accounts, retained_accounts, mrr_before_usd_amount, mrr_after_usd_amount, revenue_usd_amount"
    assert moves(march, "2026-03-02", 0, columns) == [
        ("end", "individual", "month", "free", None, None, "SE", 1, 0, "11.25", "0.00", None),
        ("start", "free", None, "family", "month", 1, "FI", 1, 1, "0.00", "0.00", None),
        ("start", "free", None, "individual", "month", 1, "SE", 1, 1, "0.00", "6.75", None),
        ("start", "free", None, "individual", "week", 1, "ZZ", 1, 1, "0.00", "14.58", None),
        # Twelve months are a year.
        ("upgrade", "individual", "month", "family", "year", 1, "JP", 1, 1, "11.24", "5.44", None),
    ]


def test_what_began_and_ended_within_a_day_is_no_move_and_neither_is_a_merge(march: Warehouse) -> None:
    accounts = march.rows(
        "audit_20260305.int_plan_moves",
        "account_id",
        "1",
        "move_date between '2026-03-01' and '2026-03-05' and account_id in ('a_brief', 'a_old', 'a_new')",
    )
    assert accounts == []


def test_a_trial_moves_when_it_is_paid_and_names_the_offer_that_was_shown_last(march: Warehouse) -> None:
    assert moves(march, "2026-03-03", 0, "offer_id, is_offer_touched, accounts") == [
        ("end", "individual", "month", "free", None, None, "SE", None, False, 1),
        ("end", "individual", "year", "free", None, None, "SE", None, False, 1),
        ("start", "free", None, "individual", "month", 1, "NO", None, False, 1),
        ("start", "free", None, "individual", "month", 1, "SE", "winback-3-months", True, 1),
    ]


def test_who_moved_a_horizon_ago_is_looked_at_once_when_it_is_over(march: Warehouse) -> None:
    columns = (
        "move_date, accounts, retained_accounts, on_plan_accounts, mrr_before_usd_amount, "
        "mrr_after_usd_amount, revenue_usd_amount"
    )
    # Of the two that began on 1 February one was in billing retry when 30 days were over.
    assert moves(march, "2026-03-03", 30, columns) == [
        ("start", "free", None, "family", "month", 1, "SE", "2026-02-01", 1, 1, 1, None, "18.00", "18.00"),
        ("start", "free", None, "individual", "month", 1, "SE", "2026-02-01", 1, 0, 0, None, "0.00", "0.00"),
    ]
    assert moves(march, "2026-03-02", 30, columns) == []
