"""Expectations on what the segment rules look at: the accounts' features and the content of offers."""

from __future__ import annotations

from expectations.suites.movements import END_REASONS
from expectations.suites.subscribers import PLAN_KINDS
from expectations.suites.suite import MartSuite, not_null, one_of, unique_key


def feature_suites() -> list[MartSuite]:
    """Suites of ``fct_account_features`` and ``offer_contents``."""
    return [
        MartSuite(
            model="fct_account_features",
            key=("feature_date", "account_id"),
            expectations=(
                unique_key("feature_date", "account_id"),
                *not_null(
                    "account_id", "market", "locale", "tenure_days", "streams_28d", "is_entitled",
                    "is_test_account", "is_deletion_requested",
                ),
                one_of("plan_kind", PLAN_KINDS),
                one_of("last_end_reason", END_REASONS),
            ),
        ),
        MartSuite(
            model="offer_contents",
            key=("feature_date", "entry_id", "locale"),
            expectations=(unique_key("feature_date", "entry_id", "locale"),),
            watch_row_count=False,
        ),
    ]  # fmt: skip
