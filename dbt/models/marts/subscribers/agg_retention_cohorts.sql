-- Partitions are first days of months. So many days back from any day lie the first of its month and, early
-- in a month, the first of the one before, which late events still reach.
{{
    config(
        partition_by={"field": "activity_month", "data_type": "date", "granularity": "day"},
        cluster_by=["cohort_month"],
        meta={
            "published": "days",
            "restates_days": var("cohort_restated_days"),
            "measures": ["retained_accounts"],
        },
    )
}}

with
    current_accounts as (
        select account_id, resolved_account_id, resolved_market, is_resolved_test_account
        from {{ ref("int_account_versions") }}
        where valid_from_date <= {{ as_of_day() }} and valid_to_date > {{ as_of_day() }}
    ),

    paid_periods as (
        select
            coalesce(account.resolved_account_id, period.account_id) as account_id,
            coalesce(account.resolved_market, 'ZZ') as market,
            period.subscription_id,
            period.plan_id,
            period.provider,
            period.valid_from_at,
            coalesce(period.valid_to_at, timestamp '9999-12-31') as ends_at
        from {{ ref("int_subscription_periods") }} as period
        left join current_accounts as account on period.account_id = account.account_id
        where
            period.is_paid
            and not coalesce(account.is_resolved_test_account, false)
            and period.valid_from_at < timestamp({{ as_of_day(1) }})
    ),

    -- An account belongs to the month of its first payment for good, however often it comes back.
    cohorts as (
        select
            period.account_id,
            period.market,
            date_trunc(date(period.valid_from_at), month) as cohort_month,
            coalesce(plan.plan_kind, 'unknown') as plan_kind,
            period.provider
        from paid_periods as period
        left join {{ ref("stg_billing__plans") }} as plan on period.plan_id = plan.plan_id
        where true
        qualify
            row_number() over (
                partition by period.account_id order by period.valid_from_at, period.subscription_id
            )
            = 1
    ),

    -- A month that is not over is measured at the as-of day.
    months as (
        select
            activity_month,
            least(last_day(activity_month, month), {{ as_of_day() }}) as measured_date,
            last_day(activity_month, month) <= {{ as_of_day() }} as is_complete
        from
            unnest(
                generate_date_array(
                    date_trunc({{ start_day(-var("cohort_restated_days")) }}, month),
                    {{ end_day() }},
                    interval 1 month
                )
            ) as activity_month
        where activity_month >= {{ start_day(-var("cohort_restated_days")) }}
    ),

    retained as (
        select distinct month.activity_month, period.account_id
        from months as month
        inner join
            paid_periods as period
            on period.valid_from_at < timestamp(date_add(month.measured_date, interval 1 day))
            and period.ends_at >= timestamp(date_add(month.measured_date, interval 1 day))
    )

select
    month.activity_month,
    cohort.cohort_month,
    cohort.market,
    cohort.plan_kind,
    cohort.provider,
    date_diff(month.activity_month, cohort.cohort_month, month) as month_number,
    cast(count(*) as int64) as cohort_accounts,
    cast(count(retained.account_id) as int64) as retained_accounts,
    month.measured_date,
    month.is_complete
from months as month
inner join cohorts as cohort on cohort.cohort_month <= month.activity_month
left join
    retained on month.activity_month = retained.activity_month and cohort.account_id = retained.account_id
group by
    month.activity_month,
    cohort.cohort_month,
    cohort.market,
    cohort.plan_kind,
    cohort.provider,
    month.measured_date,
    month.is_complete
