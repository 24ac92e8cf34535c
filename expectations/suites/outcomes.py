"""Expectations on trial outcomes and retention cohorts."""

from __future__ import annotations

from expectations.suites.suite import MartSuite, at_least, no_rows, not_null, unique_key


def outcome_suites() -> list[MartSuite]:
    """Suites of ``agg_trial_outcomes`` and ``agg_retention_cohorts``."""
    return [_trials(), _cohorts()]


def _trials() -> MartSuite:
    return MartSuite(
        model="agg_trial_outcomes",
        key=("trial_start_date", "market", "plan_kind", "provider"),
        watch_row_count=False,
        expectations=(
            unique_key("trial_start_date", "market", "plan_kind", "provider"),
            *not_null("market", "provider", "started"),
            at_least("started", 1),
            no_rows(
                "select trial_start_date, market, plan_kind, provider from {batch} "
                "where converted + pending + abandoned <> started or mature_converted > mature_started",
                "converted, pending and abandoned trials are the started ones",
            ),
        ),
    )


def _cohorts() -> MartSuite:
    return MartSuite(
        model="agg_retention_cohorts",
        key=("activity_month", "cohort_month", "market", "plan_kind", "provider"),
        watch_row_count=False,
        expectations=(
            unique_key("activity_month", "cohort_month", "market", "plan_kind", "provider"),
            *not_null("cohort_month", "cohort_accounts", "retained_accounts", "is_complete"),
            at_least("month_number", 0),
            no_rows(
                "select activity_month, cohort_month, market from {batch} "
                "where retained_accounts > cohort_accounts",
                "the retained are part of their cohort",
            ),
        ),
    )
