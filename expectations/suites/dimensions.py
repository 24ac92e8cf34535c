"""Expectations on the dimensions, which are published whole."""

from __future__ import annotations

from expectations.suites.suite import MartSuite, no_rows, not_null, unique_key


def dimension_suites() -> list[MartSuite]:
    """Suites of ``dim_account`` and ``dim_plan``."""
    return [
        MartSuite(
            model="dim_account",
            key=("account_id", "valid_from_date"),
            expectations=(
                unique_key("account_id", "valid_from_date"),
                *not_null("account_id", "resolved_account_id", "resolved_market"),
                no_rows(
                    "select account_id, count(*) as current_versions from {batch} "
                    "group by account_id having countif(is_current) > 1",
                    "no account has two current versions",
                ),
            ),
        ),
        MartSuite(
            model="dim_plan",
            key=("plan_id", "market", "currency", "valid_from_date"),
            expectations=(
                unique_key("plan_id", "market", "currency", "valid_from_date"),
                *not_null("plan_id", "plan_kind", "billing_interval"),
            ),
        ),
    ]
