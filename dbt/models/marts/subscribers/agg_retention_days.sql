{{
    config(
        partition_by={"field": "measured_date", "data_type": "date", "granularity": "day"},
        cluster_by=["day_number", "market"],
        meta={"published": "days", "restates_days": 0, "measures": ["retained_accounts"]},
    )
}}

-- A day measures the accounts that paid for the first time 7, 30, 60 and 90 days before it: every cell has
-- had its full
-- opportunity, and a run builds its own days alone.
with
    paid_periods as (
        select
            coalesce(account.resolved_account_id, period.account_id) as account_id,
            coalesce(account.valid_from_date, date '0001-01-01') as valid_from_date,
            coalesce(account.valid_to_date, date '9999-12-31') as valid_to_date,
            coalesce(account.is_resolved_test_account, false) as is_excluded,
            period.account_id as holder_account_id,
            period.subscription_id,
            period.plan_id,
            period.provider,
            period.valid_from_at,
            coalesce(period.valid_to_at, timestamp '9999-12-31') as ends_at
        from {{ ref("int_subscription_periods") }} as period
        left join {{ ref("int_account_versions") }} as account on period.account_id = account.account_id
        where period.is_paid and period.valid_from_at < timestamp({{ end_day(1) }})
    ),

    measurements as (
        select measured_date, day_number, date_sub(measured_date, interval day_number day) as cohort_date
        from unnest(generate_date_array({{ start_day() }}, {{ end_day() }})) as measured_date
        cross join unnest([7, 30, 60, 90]) as day_number
    ),

    -- Whoever the holder is on the day that measures.
    candidates as (
        select distinct
            measurement.measured_date, measurement.day_number, measurement.cohort_date, period.account_id
        from measurements as measurement
        inner join
            paid_periods as period
            on measurement.cohort_date = date(period.valid_from_at)
            and {{ valid_on("period", "measurement.measured_date") }}
        where not period.is_excluded
    ),

    known_periods as (
        select
            candidate.measured_date,
            candidate.day_number,
            candidate.cohort_date,
            period.*,
            logical_or(
                period.valid_from_at < timestamp(date_add(candidate.measured_date, interval 1 day))
                and period.ends_at >= timestamp(date_add(candidate.measured_date, interval 1 day))
            ) over (partition by candidate.measured_date, candidate.day_number, period.account_id)
            as is_retained
        from candidates as candidate
        inner join
            paid_periods as period
            on candidate.account_id = period.account_id
            and {{ valid_on("period", "candidate.measured_date") }}
        where not period.is_excluded
    ),

    -- An account belongs to the day of its first payment for good, however often it comes back.
    cohorts as (
        select *
        from known_periods
        where true
        qualify
            row_number() over (
                partition by measured_date, day_number, account_id order by valid_from_at, subscription_id
            )
            = 1
    ),

    cells as (
        select
            cohort.measured_date,
            cohort.day_number,
            cohort.cohort_date,
            coalesce(account.resolved_market, 'ZZ') as cohort_market,
            coalesce(plan.plan_kind, 'unknown') as cohort_plan_kind,
            cohort.provider,
            cohort.is_retained
        from cohorts as cohort
        left join
            {{ ref("int_account_versions") }} as account
            on cohort.holder_account_id = account.account_id
            and {{ valid_on("account", "cohort.cohort_date") }}
        left join {{ ref("stg_billing__plans") }} as plan on cohort.plan_id = plan.plan_id
        where date(cohort.valid_from_at) = cohort.cohort_date
    )

select
    measured_date,
    cast(day_number as int64) as day_number,
    cohort_date,
    cohort_market as market,
    cohort_plan_kind as plan_kind,
    provider,
    cast(count(*) as int64) as cohort_accounts,
    cast(countif(is_retained) as int64) as retained_accounts
from cells
group by measured_date, day_number, cohort_date, cohort_market, cohort_plan_kind, provider
