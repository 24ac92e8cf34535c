{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id", "subscription_id"],
        partitions=rebuilt_bounds(),
        meta={"published": true, "restates_days": 0},
    )
}}

with
    -- Only what touches the run's days is exploded into days.
    entitled_periods as (
        select *, coalesce(valid_to_at, timestamp '9999-12-31') as ends_at
        from {{ ref("int_subscription_periods") }}
        where
            is_entitled
            and valid_from_at < timestamp({{ end_day(1) }})
            and (valid_to_at is null or valid_to_at > timestamp({{ start_day() }}))
    ),

    period_days as (
        select
            snapshot_date,
            period.*,
            period.valid_from_at <= timestamp(snapshot_date) as is_at_day_start,
            period.ends_at >= timestamp(date_add(snapshot_date, interval 1 day)) as is_at_day_end
        from entitled_periods as period
        cross join
            unnest(
                generate_date_array(
                    greatest(date(period.valid_from_at), {{ start_day() }}),
                    -- An end exactly at midnight leaves no part of that day.
                    least(date(timestamp_sub(period.ends_at, interval 1 microsecond)), {{ end_day() }})
                )
            ) as snapshot_date
    ),

    -- The day's last entitled period speaks for the day; each edge of the day is held by any of them.
    subscription_days as (
        select
            *,
            max(if(is_at_day_start, 1, 0)) over (partition by subscription_id, snapshot_date)
            = 1 as was_active_at_day_start,
            max(if(is_at_day_end, 1, 0)) over (partition by subscription_id, snapshot_date)
            = 1 as was_active_at_day_end
        from period_days
        where true
        qualify
            row_number() over (partition by subscription_id, snapshot_date order by valid_from_at desc) = 1
    ),

    -- An account that no feed has introduced keeps its subscription, in market ZZ (ISO 3166: unknown).
    account_days as (
        select
            days.*,
            coalesce(account.resolved_account_id, days.account_id) as resolved_account_id,
            coalesce(account.resolved_market, 'ZZ') as market
        from subscription_days as days
        left join
            {{ ref("int_account_versions") }} as account
            on days.account_id = account.account_id
            and days.snapshot_date >= account.valid_from_date
            and days.snapshot_date < account.valid_to_date
        where not coalesce(account.is_resolved_test_account, false)
    ),

    -- Which subscriptions an account had, on the days on which it was the surviving account.
    account_subscriptions as (
        select distinct
            period.subscription_id,
            period.subscription_started_at,
            coalesce(account.resolved_account_id, period.account_id) as resolved_account_id,
            coalesce(account.valid_from_date, date '0001-01-01') as valid_from_date,
            coalesce(account.valid_to_date, date '9999-12-31') as valid_to_date
        from {{ ref("int_subscription_periods") }} as period
        left join {{ ref("int_account_versions") }} as account on period.account_id = account.account_id
        where period.is_entitled
    ),

    subscription_numbers as (
        select
            days.snapshot_date,
            days.subscription_id,
            count(distinct earlier.subscription_id) as subscription_number
        from account_days as days
        inner join
            account_subscriptions as earlier
            on days.resolved_account_id = earlier.resolved_account_id
            and days.snapshot_date >= earlier.valid_from_date
            and days.snapshot_date < earlier.valid_to_date
        where
            earlier.subscription_started_at < days.subscription_started_at
            or (
                earlier.subscription_started_at = days.subscription_started_at
                and earlier.subscription_id <= days.subscription_id
            )
        group by days.snapshot_date, days.subscription_id
    ),

    priced as (
        select
            days.*,
            plan.plan_kind,
            coalesce(days.billing_interval, plan.billing_interval) as paid_interval,
            rate.usd_rate,
            {{ to_cents("days.price_amount") }} as price_cents
        from account_days as days
        left join {{ ref("stg_billing__plans") }} as plan on days.plan_id = plan.plan_id
        left join
            {{ ref("int_usd_rates_daily") }} as rate
            on days.currency = rate.currency
            and days.snapshot_date = rate.rate_date
    ),

    monthly as (
        select
            *,
            case
                when state = 'trial' or not was_active_at_day_end
                then 0
                when paid_interval = 'month'
                then price_cents
                when paid_interval = 'year'
                then {{ half_even_div("price_cents", 12) }}
                when paid_interval = 'week'
                then {{ half_even_div("(price_cents * 52)", 12) }}
            end as mrr_cents
        from priced
    ),

    converted as (
        select
            *,
            -- Nothing is nothing in every currency, also in one without a rate.
            case when mrr_cents = 0 then 0 else {{ usd_cents("mrr_cents", "usd_rate") }} end as mrr_usd_cents
        from monthly
    )

select
    day.snapshot_date,
    day.subscription_id,
    day.resolved_account_id as account_id,
    day.provider,
    day.market,
    day.plan_id,
    day.plan_kind,
    day.paid_interval as billing_interval,
    day.state,
    day.state = 'trial' as is_trial,
    day.state in ('active', 'grace') as is_paid,
    day.is_auto_renew,
    day.was_active_at_day_start,
    day.was_active_at_day_end,
    cast(day.price_amount as numeric(38, 9)) as price_amount,
    day.currency,
    {{ from_cents("day.mrr_cents") }} as mrr_amount,
    {{ from_cents("day.mrr_usd_cents") }} as mrr_usd_amount,
    cast(day.usd_rate as numeric(38, 9)) as usd_rate,
    cast(number.subscription_number as int64) as subscription_number,
    date(day.subscription_started_at) as subscription_start_date,
    date_diff(day.snapshot_date, date(day.subscription_started_at), day) as tenure_days
from converted as day
inner join
    subscription_numbers as number
    on day.subscription_id = number.subscription_id
    and day.snapshot_date = number.snapshot_date
