"""The gate judges what a run built: critical failures stop it, warnings do not, everything is recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from expectations.drift import tolerated_rows
from loaders.erasure.files import Files
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.erasures import record_erased, subject_hash
from runs import judge as judging
from runs import steps
from runs.outcome import StepOutcome
from runs.published import PublishedMart
from segue.settings import Settings
from segue.window import RunWindow
from tests.expectations.journey_tables import journey_tables
from tests.expectations.revenue_tables import revenue_tables
from tests.expectations.segment_tables import segment_tables

DAY = date(2026, 3, 31)
"""Great Expectations reads a run's name as its time when it gets no other, and "-31" as a UTC offset."""
SUBSCRIPTION_DAYS = PublishedMart("fct_subscription_daily", "snapshot_date", 0, "")

AUDIT_TABLES = """
create or replace table `{audit}.int_subscription_periods` as
select 's1' as subscription_id, 'a1' as account_id, 'started' as event_type, 'active' as state,
    timestamp '2026-03-31 09:00:00' as valid_from_at, timestamp '9999-12-31' as valid_to_at,
    false as is_conflicting_opening;

create or replace table `{audit}.fct_subscription_daily` as
select date '2026-03-31' as snapshot_date, 's1' as subscription_id, 'a1' as account_id, 'stripe' as provider,
    'DE' as market, 'individual-month' as plan_id, 'individual' as plan_kind,
    'month' as billing_interval, 1 as billing_interval_count,
    'active' as state, false as is_trial, true as is_paid, true as was_active_at_day_end,
    false as was_active_at_day_start, cast(9.99 as numeric(38, 9)) as price_amount, 'EUR' as currency,
    cast(9.99 as numeric(38, 9)) as mrr_amount,
    cast(10.89 as numeric(38, 9)) as mrr_usd_amount, 1 as subscription_number, 0 as tenure_days,
    cast(null as bool) as is_auto_renew, cast(null as date) as next_renewal_date, false as is_renewal_due_14d,
    cast(null as string) as renewal_risk, cast(null as timestamp) as cancelled_at,
    cast(null as int64) as days_since_cancelled;

create or replace table `{audit}.int_subscription_days` as
select snapshot_date, subscription_id, provider, market, plan_kind, currency, was_active_at_day_end,
    false as is_excluded, 999 as mrr_cents, 1089 as mrr_usd_cents
from `{audit}.fct_subscription_daily`;

create or replace table `{audit}.int_usd_rates_daily` as
select date '2026-03-31' as rate_date, 'EUR' as currency, date '2026-02-24' as told_date;

create or replace table `{audit}.fct_subscriber_daily` as
select date '2026-03-31' as snapshot_date, 'a1' as account_id, 'DE' as market, true as is_subscriber,
    true as is_payer, false as is_member, true as is_paid, false as is_in_trial, false as is_in_grace,
    1 as subscription_count, cast(10.89 as numeric(38, 9)) as mrr_usd_amount,
    'new' as movement, cast(null as string) as churn_reason, cast(null as string) as movement_reason,
    cast(10.89 as numeric(38, 9)) as movement_usd_amount, cast(0 as numeric(38, 9)) as fx_usd_amount,
    false as was_paying_at_day_start, true as was_paying_at_day_end;

create or replace table `{audit}.agg_subscribers_daily` as
select date '2026-03-31' as snapshot_date, 'DE' as market, 'individual' as plan_kind, 'stripe' as provider,
    'EUR' as currency, 0 as opening_subscriptions, 1 as starts, 0 as ends, 0 as moves_in, 0 as moves_out,
    1 as active_subscriptions, 1 as paid_subscriptions, 0 as trial_subscriptions,
    0 as unpaid_subscriptions, 1 as payers,
    cast(9.99 as numeric(38, 9)) as mrr_amount, cast(10.89 as numeric(38, 9)) as mrr_usd_amount;

create or replace table `{audit}.fct_subscription_event` as
select date '2026-03-31' as event_date, 's1' as subscription_id, 'a1' as account_id, 'stripe' as provider,
    'DE' as market, 'started' as transition, true as is_start, false as is_end,
    'evt_1' as provider_event_id, 'started' as event_type, 'original' as origin,
    timestamp '2026-03-31 09:00:00' as occurred_at, 1 as starts, 0 as ends,
    cast(null as string) as end_reason, cast(0 as numeric(38, 9)) as mrr_before_usd_amount,
    cast(10.89 as numeric(38, 9)) as mrr_after_usd_amount;

create or replace table `{audit}.agg_mrr_movements_daily` as
select date '2026-03-31' as snapshot_date, 'new' as movement, cast(null as string) as churn_reason,
    cast(null as string) as movement_reason, 'DE' as market, 'individual' as plan_kind,
    'stripe' as provider, 'EUR' as currency, 1 as accounts,
    cast(9.99 as numeric(38, 9)) as mrr_amount, cast(10.89 as numeric(38, 9)) as mrr_usd_amount;

create or replace table `{audit}.fct_churn` as
select churn_date, account_id, 'DE' as market, 'other' as churn_reason, false as is_mature,
    false as is_recovered_14d, cast(null as int64) as days_to_recovery
from (select date '2026-03-30' as churn_date, 'a1' as account_id);

create or replace table `{audit}.fct_trial` as
select date '2026-03-31' as trial_date, subscription_id, timestamp '2026-03-31 09:00:00' as trial_started_at,
    'a1' as account_id, 'DE' as market, 'stripe' as provider, cast(null as timestamp) as trial_ended_at,
    outcome <> 'pending' as is_mature, outcome, outcome = 'converted' as is_converted,
    if(outcome = 'converted', timestamp '2026-03-31 10:00:00', null) as converted_at,
    false as is_refunded_14d, if(outcome = 'abandoned', 'voluntary', null) as not_converted_reason,
    1 as trials, if(outcome = 'converted', 1, 0) as conversions
from (select 's1' as subscription_id, 'converted' as outcome union all select 's2', 'pending'
    union all select 's3', 'abandoned');

create or replace table `{audit}.agg_trial_outcomes` as
select date '2026-03-31' as trial_start_date, 'DE' as market, 'individual' as plan_kind,
    cast(null as string) as offer_id,
    'stripe' as provider, 3 as started, 1 as converted, 1 as pending, 1 as abandoned, 2 as mature_started,
    1 as mature_converted;

create or replace table `{audit}.agg_upsell_daily` as
select date '2026-03-31' as measured_date, 0 as horizon_days, date '2026-03-31' as move_date,
    'start' as move, 'free' as from_plan_kind, cast(null as string) as from_billing_interval,
    cast(null as int64) as from_billing_interval_count, 'individual' as to_plan_kind,
    'month' as to_billing_interval, 1 as to_billing_interval_count, 'DE' as market,
    cast(null as string) as offer_id, false as is_offer_touched, 1 as accounts, 1 as retained_accounts,
    1 as on_plan_accounts, cast(0 as numeric(38, 9)) as mrr_before_usd_amount,
    cast(10.89 as numeric(38, 9)) as mrr_after_usd_amount,
    cast(null as numeric(38, 9)) as revenue_usd_amount;

create or replace table `{audit}.agg_retention_cohorts` as
select date '2026-03-01' as activity_month, date '2026-02-01' as cohort_month, 'DE' as market,
    'individual' as plan_kind, 'stripe' as provider, 1 as month_number, 5 as cohort_accounts,
    4 as retained_accounts, false as is_complete;

create or replace table `{audit}.agg_retention_days` as
select date '2026-03-31' as measured_date, 30 as day_number, date '2026-03-01' as cohort_date, 'DE' as market,
    'individual' as plan_kind, 'stripe' as provider, 5 as cohort_accounts, 4 as retained_accounts;

create or replace table `{audit}.dim_account` as
select account_id, date '0001-01-01' as valid_from_date, date '9999-12-31' as valid_to_date,
    'a1' as resolved_account_id, 'DE' as resolved_market, true as is_current,
    if(account_id = 'a1', null, 'a1') as merged_into_account_id, cast(null as string) as merge_refused_reason
from unnest(['a1', 'a2', 'a3']) as account_id;

create or replace table `{audit}.dim_plan` as
select 'individual-month' as plan_id, 'DE' as market, 'EUR' as currency, date '2026-01-01' as valid_from_date,
    'individual' as plan_kind, 'month' as billing_interval, 1 as billing_interval_count;

create or replace table `{audit}.fct_experiment_decision` as
select date '2026-03-31' as decision_date, 'holdout-global' as experiment_id, 'a1' as account_id,
    'served' as variant, false as is_held_back, 'DE' as market;

create or replace table `{audit}.fct_experiment_exposure` as
select date '2026-03-31' as exposure_date, 'x' as experiment_id, 1 as experiment_version, 'a1' as account_id,
    'control' as variant, true as is_control, timestamp '2026-03-31 08:00:00' as exposed_at,
    'surface' as exposure_source, 2 as exposures, 'control' as hashed_variant, false as is_variant_mismatch,
    false as is_excluded, cast(null as string) as exclusion_reason;

create or replace table `{audit}.agg_experiment_daily` as
select date '2026-03-31' as metric_date, 'x' as experiment_id, 'control' as variant, 'paid' as metric,
    3 as units, numeric '2' as sum_y, numeric '2' as sum_yy, numeric '1' as sum_x, numeric '1' as sum_xx,
    numeric '1' as sum_xy, cast(null as numeric) as sum_d, cast(null as numeric) as sum_dd,
    cast(null as numeric) as sum_yd, cast(null as numeric) as sum_xd;

create or replace table `{audit}.fct_account_features` as
select date '2026-03-31' as feature_date, 'a1' as account_id, 'DE' as market, 'de' as locale,
    0 as tenure_days, 0 as streams_28d, true as is_entitled, false as is_test_account,
    false as is_deletion_requested, 'individual' as plan_kind, cast(null as string) as last_end_reason;
"""


@pytest.fixture(scope="module")
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    return dbt_world("gate", erasure_salt=SecretStr("salt"))


@pytest.fixture(autouse=True)
def audit(settings: Settings) -> str:
    """A clean audited day, made anew for each test."""
    warehouse = warehouse_of(settings)
    for dataset in (settings.audit_dataset(DAY), settings.marts_dataset):
        warehouse.ensure_dataset(dataset)
    name = f"{settings.project_id}.{settings.audit_dataset(DAY)}"
    warehouse.run(
        AUDIT_TABLES.format(audit=name) + journey_tables(name) + revenue_tables(name) + segment_tables(name)
    )
    return name


def change(settings: Settings, audit: str, sql: str) -> None:
    warehouse_of(settings).run(sql.format(audit=audit))


def test_a_clean_day_passes_and_every_result_is_recorded(settings: Settings) -> None:
    from expectations.gate import validate

    result = validate(settings, RunWindow.whole(settings, DAY, DAY))

    assert (result.failures, result.warnings) == ([], [])
    assert {outcome.model for outcome in result.outcomes} == {
        "int_subscription_periods", "fct_subscription_daily", "fct_subscriber_daily", "agg_subscribers_daily",
        "fct_subscription_event", "agg_mrr_movements_daily", "fct_churn", "fct_trial", "agg_trial_outcomes",
        "agg_retention_cohorts", "agg_retention_days", "agg_upsell_daily", "dim_account", "dim_plan",
        "fct_payment", "agg_revenue_daily", "agg_revenue_monthly",
        "fct_offer_journey", "agg_conversions_daily", "agg_conversion_funnel", "agg_orphan_touches_daily",
        "fct_account_features", "offer_contents", "offer_decisions", "offer_segments",
        "fct_experiment_decision", "fct_experiment_exposure", "agg_experiment_daily",
    }  # fmt: skip
    recorded = warehouse_of(settings).run(
        f"select count(*) as rows_ from `{settings.project_id}.ops.validation_results` "
        f"where run_date = date '{DAY}'"
    )
    assert [row.rows_ for row in recorded] == [len(result.outcomes)]
    assert "fct_subscription_daily" in Path(result.data_docs).read_text()


DAMAGES = [
    (
        "update `{audit}.fct_subscription_daily` set plan_id = null where true",
        "fct_subscription_daily.plan_id",
    ),
    (
        "insert `{audit}.fct_subscription_daily` select * from `{audit}.fct_subscription_daily`",
        "expect_compound_columns_to_be_unique",
    ),
    (
        "update `{audit}.int_subscription_periods` set is_conflicting_opening = true where true",
        "duplicated subscription period",
    ),
    (
        "update `{audit}.agg_subscribers_daily` set mrr_usd_amount = 10.88 where true",
        "MRR identity",
    ),
    (
        "update `{audit}.agg_mrr_movements_daily` set mrr_usd_amount = 10.87 where true",
        "the day before plus the movements is the day",
    ),
    (
        "delete from `{audit}.fct_subscription_event` where true",
        "nothing enters or leaves the active set without an event",
    ),
    ("update `{audit}.agg_subscribers_daily` set starts = 0 where true", "plus starts and moves in"),
    (
        "update `{audit}.fct_churn` set churn_date = date '2026-03-31' where true",
        "churns of the run's days are those of the movements",
    ),
    (
        "update `{audit}.fct_payment` set vat_usd_amount = 0 where true",
        "what counts is VAT, fee and net, to the cent",
    ),
    (
        "insert `{audit}.fct_payment` select * from `{audit}.fct_payment`",
        "no payment counts twice",
    ),
    (
        "update `{audit}.agg_revenue_daily` set gross_amount = 119.87, net_amount = 97.81 where true",
        "cash of a day is the sum of its payments",
    ),
    (
        "update `{audit}.agg_revenue_daily` set fee_usd_amount = 0 where true",
        "gross - refunds - disputes - VAT - fee = net",
    ),
    (
        "update `{audit}.agg_revenue_monthly` set bridge_prepaid_amount = 0 where true",
        "the bridge leads from gross cash to MRR",
    ),
    (
        "update `{audit}.agg_retention_days` set cohort_date = date '2026-02-28' where true",
        "a cohort that began as many days before",
    ),
    (
        "update `{audit}.fct_trial` set not_converted_reason = null where true",
        "an abandoned trial is mature and has a reason",
    ),
    ("delete from `{audit}.fct_trial` where outcome = 'pending'", "trials of every day are the counted ones"),
    ("update `{audit}.agg_trial_outcomes` set abandoned = 0 where true", "are the started ones"),
    (
        "update `{audit}.fct_subscriber_daily` set was_paying_at_day_end = false where true",
        "who is new or back pays when it ends",
    ),
    (
        "update `{audit}.agg_upsell_daily` set accounts = 2, retained_accounts = 3 where true",
        "is one of those that moved",
    ),
    (
        "update `{audit}.agg_upsell_daily` set move_date = date '2026-03-30' where true",
        "measured when its horizon is over",
    ),
    (
        "update `{audit}.agg_upsell_daily` set mrr_after_usd_amount = 10.88 where true",
        "moves from free are the day's new and returned payers",
    ),
    (
        "update `{audit}.agg_conversions_daily` set trials_paid = 2 where true",
        "paid are purchases and trials that became paid",
    ),
    (
        "update `{audit}.agg_conversions_daily` set clicked_journeys = 2 where true",
        "what journeys led to is a part of them",
    ),
    (
        "update `{audit}.agg_conversions_daily` set conversions = 0 where true",
        "each conversion is credited once",
    ),
    (
        "update `{audit}.agg_conversion_funnel` set journeys = 2 where stage = 'checkout'",
        "no stage of the funnel has more journeys",
    ),
    (
        "update `{audit}.agg_conversion_funnel` set median_seconds = -1 where stage = 'click'",
        "agg_conversion_funnel.median_seconds",
    ),
    (
        "update `{audit}.agg_conversion_funnel` set journeys = 0 where stage = 'start'",
        "the stages of the funnel add up",
    ),
    (
        "update `{audit}.fct_subscription_daily` set state = 'dreaming' where true",
        "fct_subscription_daily.state",
    ),
    (
        "update `{audit}.fct_subscription_daily` set renewal_risk = 'grace' where true",
        "what is not due is at no risk",
    ),
    (
        "update `{audit}.fct_account_features` set plan_kind = 'gold' where true",
        "fct_account_features.plan_kind",
    ),
    (
        "update `{audit}.offer_decisions` set suppressed_reason = 'BORED' where true",
        "offer_decisions.suppressed_reason",
    ),
    (
        "update `{audit}.offer_segments` set valid_until_at = timestamp '2026-03-31 12:00:00' where true",
        "still valid when they go online",
    ),
    (
        "update `{audit}.fct_experiment_exposure` set exposure_source = 'guess' where true",
        "fct_experiment_exposure.exposure_source",
    ),
    (
        "update `{audit}.agg_experiment_daily` set sum_yy = 1 where true",
        "the sums are those of some accounts",
    ),
    (
        "update `{audit}.dim_account` set resolved_account_id = 'a2' where account_id = 'a3'",
        "every survivor is its own",
    ),
    # Two rows by now: one whose price nobody tells would stop nobody.
    (
        "update `{audit}.fct_subscription_daily` set mrr_amount = null, mrr_usd_amount = null where true",
        "the price of all but 5% of a day's subscriptions is known (SEGUE_MAX_UNPRICED_SHARE)",
    ),
]
"""What can be wrong with a built day, each with what the failure says."""


def test_a_critical_failure_names_the_model_and_the_rows(settings: Settings, audit: str) -> None:
    from expectations.gate import ValidationFailedError, validate

    for damage, _ in DAMAGES:
        change(settings, audit, damage)

    with pytest.raises(ValidationFailedError) as failed:
        validate(settings, RunWindow.whole(settings, DAY, DAY))
    assert [named for _, named in DAMAGES if named not in str(failed.value)] == []
    # A log goes where nobody can take a name back: it says how many keys there are to look at, and where.
    assert "1 sample key(s) in ops.validation_results" in str(failed.value)
    assert not re.search(r"\b[as]\d\b", str(failed.value))

    # What Great Expectations keeps on disk of the rows is found, and goes, when their account is erased.
    assert {name.split("/")[0] for name in mentions(settings, "s1")} == {"data_docs", "validation_results"}
    Files(settings, ["s1"]).remove()
    assert mentions(settings, "s1") == []


def test_a_day_before_that_is_published_otherwise_than_it_is_known_is_a_warning_with_its_amounts(
    settings: Settings, audit: str
) -> None:
    from expectations.gate import validate

    change(
        settings,
        audit,
        "create or replace table marts.agg_subscribers_daily as select * replace "
        "(date '2026-03-30' as snapshot_date) from `{audit}.agg_subscribers_daily`; "
        "insert into ops.publications (run_date, mart, partition_date) "
        "values (date '2026-03-30', 'agg_subscribers_daily', date '2026-03-30')",
    )

    [warning] = validate(settings, RunWindow.whole(settings, DAY, DAY)).warnings

    assert "(else the difference is `restated`)" in warning.describe()
    assert "-9.99" in warning.sample
    change(settings, audit, "drop table marts.agg_subscribers_daily; delete from ops.publications where true")


def test_before_the_feed_of_rates_begins_what_has_a_price_stops_nobody(
    settings: Settings, audit: str
) -> None:
    from expectations.gate import run_suites

    def unpriced() -> bool:
        failures = run_suites(settings, RunWindow.whole(settings, DAY, DAY)).failures
        return any("SEGUE_MAX_UNPRICED_SHARE" in each.describe() for each in failures)

    # Two subscriptions in a currency without a rate.
    change(
        settings,
        audit,
        "insert into `{audit}.fct_subscription_daily` select * replace ('s2' as subscription_id) "
        "from `{audit}.fct_subscription_daily`; "
        "update `{audit}.fct_subscription_daily` set mrr_usd_amount = null where true",
    )
    assert unpriced()

    change(settings, audit, "delete from `{audit}.int_usd_rates_daily` where true")
    assert not unpriced()


def test_a_run_with_a_reason_goes_on_against_the_gate_and_says_what_failed(
    settings: Settings, audit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "marts_of", lambda *_: [SUBSCRIPTION_DAYS])
    damage, named = DAMAGES[0]
    change(settings, audit, damage)
    meant = RunWindow.whole(settings, DAY, DAY).model_copy(update={"override_reason": "plans come later"})

    outcome = steps.validate(settings, meant)

    [warning] = outcome.warnings
    assert warning.startswith("to be published all the same (plans come later): ")
    assert named in warning
    [verdict] = warehouse_of(settings).run(
        "select failures from ops.verdicts order by judged_at desc limit 1"
    )
    assert verdict.failures > 0


UNPRICED = """
update `{audit}.fct_subscription_daily`
set price_amount = null, currency = null, mrr_amount = null, mrr_usd_amount = null where true;
update `{audit}.fct_subscriber_daily` set mrr_usd_amount = 0, movement_usd_amount = 0 where true;
update `{audit}.agg_upsell_daily` set mrr_after_usd_amount = 0 where true;
update `{audit}.agg_subscribers_daily` set currency = null, mrr_amount = 0, mrr_usd_amount = 0 where true;
update `{audit}.agg_mrr_movements_daily` set currency = null, mrr_amount = 0, mrr_usd_amount = 0 where true;
update `{audit}.fct_payment` set currency = null where true;
update `{audit}.agg_revenue_daily` set currency = null, mrr_amount = 0, mrr_usd_amount = 0 where true;
update `{audit}.agg_revenue_monthly` set currency = null, mrr_amount = 0, mrr_usd_amount = 0,
    bridge_price_amount = -9.99, bridge_price_usd_amount = -10.89 where true;
"""


def test_revenue_at_a_rate_that_nobody_tells_any_more_stops_the_run(settings: Settings, audit: str) -> None:
    from expectations.gate import ValidationFailedError, validate

    change(
        settings, audit, "update `{audit}.int_usd_rates_daily` set told_date = date '2026-02-23' where true"
    )

    with pytest.raises(ValidationFailedError) as failed:
        validate(settings, RunWindow.whole(settings, DAY, DAY))
    assert "no exchange rate is more than 35 days old (SEGUE_MAX_RATE_AGE_DAYS; fx_rates)" in str(
        failed.value
    )
    assert "EUR" in str(failed.value)
    lenient = settings.model_copy(update={"max_rate_age_days": 36})
    assert validate(lenient, RunWindow.whole(lenient, DAY, DAY)).failures == []


def test_warnings_are_recorded_and_do_not_stop_the_run(settings: Settings, audit: str) -> None:
    """A price that nobody tells, a checkout without a click, merges without a survivor, few rows.

    The account whose checkout it is was erased while the gate ran: nothing that is kept shows it.
    """
    from expectations.gate import validate

    window = RunWindow.whole(settings, DAY, DAY)
    leaver = subject_hash(settings, "leaver-7")
    record_erased(warehouse_of(settings), "e1", [("account", leaver)], "begun", {})
    change(settings, audit, UNPRICED)
    change(
        settings,
        audit,
        "update `{audit}.dim_account` set resolved_account_id = account_id, "
        "merge_refused_reason = 'no_survivor' where account_id <> 'a1'",
    )
    change(
        settings,
        audit,
        "update `{audit}.fct_offer_journey` set clicks = 0, account_id = 'leaver-7' where true",
    )
    change(
        settings,
        audit,
        f"create or replace table `{settings.project_id}.marts.fct_subscriber_daily` as "
        "select day as snapshot_date, format('a%d', n) as account_id "
        "from unnest(generate_date_array(date '2026-03-24', date '2026-03-30')) as day, "
        "unnest(generate_array(1, 10)) as n",
    )

    warnings = validate(settings, window).warnings

    assert [(w.model, w.expectation, w.unexpected_count, w.observed_value) for w in warnings] == [
        ("fct_subscriber_daily", "expect_table_row_count_to_be_between", None, "1"),
        (
            "fct_subscription_daily",
            "the price of every subscription is known, and a rate of its currency",
            1,
            None,
        ),
        ("dim_account", "every merge leads to a survivor (else the account counts as itself)", 2, None),
        ("fct_offer_journey", "a checkout follows a click", 1, None),
    ]
    assert '"subscription_id": "s1"' in warnings[1].sample
    assert warnings[3].sample == "[]"
    assert mentions(settings, "leaver-7") == []
    [kept] = warehouse_of(settings).run(
        "select sample from ops.validation_results where expectation = 'a checkout follows a click' "
        "and not success order by validated_at desc limit 1"
    )
    assert kept.sample == "[]"


def test_totals_that_an_erasure_left_behind_are_built_again_before_they_stop_the_run(
    settings: Settings, audit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = RunWindow.whole(settings, DAY, DAY)
    hashed = subject_hash(settings, "a1")
    record_erased(warehouse_of(settings), "e2", [("account", hashed)], "begun", {})
    change(settings, audit, "delete from `{audit}.int_subscription_days` where true")
    built: list[RunWindow] = []

    def build_again(_settings: Settings, again: RunWindow) -> StepOutcome:
        built.append(again)
        change(settings, audit, AUDIT_TABLES)
        return StepOutcome(again, "built")

    monkeypatch.setattr(steps, "build", build_again)
    monkeypatch.setattr(judging, "marts_of", lambda *_: [SUBSCRIPTION_DAYS])

    assert "expectations" in steps.validate(settings, window).summary
    assert built == [window]


def mentions(settings: Settings, account_id: str) -> list[str]:
    """Pages and results below the state folder that have the text, as a word."""
    word = re.compile(rf"(?<![\w-]){account_id}(?![\w-])".encode())
    folders = (settings.state_dir / name for name in ("data_docs", "validation_results"))
    files = (path for folder in folders for path in folder.rglob("*") if path.suffix in (".json", ".html"))
    return [str(path.relative_to(settings.state_dir)) for path in files if word.search(path.read_bytes())]


@pytest.mark.parametrize(
    ("counts", "drift", "tolerated"),
    [([], 0.5, None), ([100], 0.5, (50, 150)), ([80, 100, 120], 0.25, (75, 125)), ([1, 2], 0.5, (0, 3))],
)
def test_the_tolerated_rows_are_a_share_around_the_mean_of_the_week(
    counts: list[int], drift: float, tolerated: tuple[int, int] | None
) -> None:
    assert tolerated_rows(counts, drift) == tolerated
