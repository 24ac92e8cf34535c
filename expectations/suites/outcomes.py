"""Expectations on what became of churns, trials and cohorts."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.suites.movements import END_REASONS
from expectations.suites.suite import MartSuite, at_least, between, no_rows, not_null, one_of, unique_key
from loaders.warehouse.dbt_models import DbtModel
from segue.window import RunWindow


def outcome_suites(window: RunWindow, models: Mapping[str, DbtModel]) -> list[MartSuite]:
    """Suites of ``fct_churn``, ``fct_trial``, ``agg_trial_outcomes`` and ``agg_retention_cohorts``."""
    conversion_days = models["fct_trial"].restates_days
    return [_churns(window), _single_trials(), _trials(window, conversion_days), _cohorts(), _days()]


def _churns(window: RunWindow) -> MartSuite:
    return MartSuite(
        model="fct_churn",
        key=("churn_date", "account_id"),
        watch_row_count=False,
        expectations=(
            unique_key("churn_date", "account_id"),
            *not_null("account_id", "market", "churn_reason", "is_mature", "is_recovered_14d"),
            one_of("churn_reason", END_REASONS),
            between("days_to_recovery", 1, 14),
            no_rows(
                f"""with moved as (
                    select snapshot_date as churn_date, account_id, churn_reason
                    from {window.table("fct_subscriber_daily")}
                    where {window.partitions("snapshot_date")} and movement = 'churn'
                ), told as (
                    select churn_date, account_id, churn_reason
                    from {{batch}}
                    where {window.partitions("churn_date")}
                )
                select coalesce(moved.churn_date, told.churn_date) as churn_date,
                    coalesce(moved.account_id, told.account_id) as account_id,
                    moved.churn_reason as moved_reason, told.churn_reason as told_reason
                from moved full outer join told
                    on moved.churn_date = told.churn_date and moved.account_id = told.account_id
                where moved.churn_reason is distinct from told.churn_reason""",
                "the churns of the run's days are those of the movements, with their reasons",
            ),
        ),
    )


def _single_trials() -> MartSuite:
    return MartSuite(
        model="fct_trial",
        key=("trial_date", "subscription_id", "trial_started_at"),
        watch_row_count=False,
        expectations=(
            unique_key("subscription_id", "trial_started_at"),
            *not_null("account_id", "market", "provider", "is_mature", "is_converted", "is_refunded_14d"),
            one_of("outcome", ("converted", "pending", "abandoned")),
            one_of("not_converted_reason", ("refunded", *END_REASONS, "no_payment")),
            no_rows(
                "select subscription_id, trial_started_at, outcome, not_converted_reason, converted_at "
                "from {batch} where (outcome = 'abandoned') <> (not_converted_reason is not null) "
                "or is_converted <> (outcome = 'converted') or is_converted <> (converted_at is not null) "
                "or outcome = 'abandoned' and not is_mature",
                "an abandoned trial is mature and has a reason, and a converted one a payment",
            ),
            no_rows(
                "select subscription_id, trial_started_at, trial_ended_at, converted_at from {batch} "
                "where trial_ended_at < trial_started_at or converted_at < trial_started_at",
                "nothing that becomes of a trial comes before its start",
            ),
        ),
    )


def _trials(window: RunWindow, conversion_days: int) -> MartSuite:
    return MartSuite(
        model="agg_trial_outcomes",
        key=("trial_start_date", "market", "plan_kind", "provider", "offer_id"),
        watch_row_count=False,
        expectations=(
            unique_key("trial_start_date", "market", "plan_kind", "provider", "offer_id"),
            *not_null("market", "provider", "started"),
            at_least("started", 1),
            no_rows(
                "select trial_start_date, market, plan_kind, provider from {batch} "
                "where converted + pending + abandoned <> started or mature_converted > mature_started",
                "converted, pending and abandoned trials are the started ones",
            ),
            no_rows(
                f"""with counted as (
                    select trial_start_date, started, converted from {{batch}}
                    union all
                    select trial_date, -trials, -conversions
                    from {window.table("fct_trial")}
                    where {window.partitions("trial_date", conversion_days)}
                )
                select trial_start_date, sum(started) as started, sum(converted) as converted
                from counted group by trial_start_date
                having sum(started) <> 0 or sum(converted) <> 0""",
                "the trials of every day are the counted ones",
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


def _days() -> MartSuite:
    key = ("measured_date", "day_number", "market", "plan_kind", "provider")
    return MartSuite(
        model="agg_retention_days",
        key=key,
        watch_row_count=False,
        expectations=(
            unique_key(*key),
            *not_null("cohort_date", "cohort_accounts", "retained_accounts"),
            no_rows(
                "select measured_date, day_number, cohort_date, cohort_accounts, retained_accounts "
                "from {batch} "
                "where retained_accounts > cohort_accounts or day_number not in (7, 30, 60, 90) "
                "or date_diff(measured_date, cohort_date, day) <> day_number",
                "the retained are part of a cohort that began as many days before",
            ),
        ),
    )
