{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id", "subscription_id"],
        meta={
            "published": "days",
            "restates_days": 0,
            "measures": ["mrr_usd_amount", "net_mrr_usd_amount"],
        },
    )
}}

with
    subscription_days as (
        select *
        from {{ ref("int_subscription_days") }}
        where {{ rebuilt_days("snapshot_date") }} and not is_excluded
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
        from subscription_days as days
        inner join
            account_subscriptions as earlier
            on days.account_id = earlier.resolved_account_id
            and {{ valid_on("earlier", "days.snapshot_date") }}
        where
            earlier.subscription_started_at < days.subscription_started_at
            or (
                earlier.subscription_started_at = days.subscription_started_at
                and earlier.subscription_id <= days.subscription_id
            )
        group by days.snapshot_date, days.subscription_id
    ),

    charges as (
        select subscription_id, payment_date, payment_status, occurred_at
        from {{ ref("int_told_payments") }}
        where
            payment_kind = 'charge'
            and payment_status in ('failed', 'succeeded')
            and payment_date between {{ start_day(1 - var("failed_charge_days")) }} and {{ end_day() }}
    ),

    -- The latest that was heard of a charge by the end of the day is that it failed.
    failed_charges as (
        select day.snapshot_date, day.subscription_id
        from subscription_days as day
        inner join
            charges as charge
            on day.subscription_id = charge.subscription_id
            and charge.payment_date <= day.snapshot_date
            and charge.payment_date
            > date_sub(day.snapshot_date, interval {{ var("failed_charge_days") }} day)
        group by day.snapshot_date, day.subscription_id
        having
            max(if(charge.payment_status = 'failed', charge.occurred_at, null)) > coalesce(
                max(if(charge.payment_status = 'succeeded', charge.occurred_at, null)), timestamp '0001-01-01'
            )
    ),

    -- The renewal that comes next. Where a payment has failed it is being made, and where none was heard of
    -- it is late.
    renewals as (
        select
            day.snapshot_date,
            day.subscription_id,
            day.plan_id,
            day.market,
            day.currency,
            day.price_amount,
            day.state,
            date(day.current_period_end_at) as next_renewal_date,
            failed.subscription_id is not null as is_failed,
            day.was_active_at_day_end
            and day.is_paid
            and (
                day.state = 'grace'
                or failed.subscription_id is not null
                or date(day.current_period_end_at)
                <= date_add(day.snapshot_date, interval {{ var("renewal_outlook_days") }} day)
            ) as is_due
        from subscription_days as day
        left join
            failed_charges as failed
            on day.subscription_id = failed.subscription_id
            and day.snapshot_date = failed.snapshot_date
        where coalesce(day.is_auto_renew, true)
    ),

    -- As the day knew the catalogue; what the first one says speaks for the days before it arrived as well.
    price_versions as (
        select
            *,
            if(arrival_date = min(arrival_date) over (), date '0001-01-01', arrival_date) as known_from_date
        from {{ ref("stg_billing__plan_price_versions") }}
    ),

    outlooks as (
        select distinct snapshot_date, next_renewal_date, plan_id, market, currency
        from renewals
        where is_due and next_renewal_date >= snapshot_date
    ),

    list_prices as (
        select
            outlook.*,
            price.price_amount,
            price.valid_from_date <= outlook.snapshot_date as is_begun,
            row_number() over (
                partition by
                    outlook.snapshot_date,
                    outlook.next_renewal_date,
                    outlook.plan_id,
                    outlook.market,
                    outlook.currency
                order by price.valid_from_date desc, price.arrival_date desc
            ) as place,
            row_number() over (
                partition by
                    outlook.snapshot_date,
                    outlook.next_renewal_date,
                    outlook.plan_id,
                    outlook.market,
                    outlook.currency,
                    price.valid_from_date <= outlook.snapshot_date
                order by price.valid_from_date desc, price.arrival_date desc
            ) as place_of_begun
        from outlooks as outlook
        inner join
            price_versions as price
            on outlook.plan_id = price.plan_id
            and outlook.market = price.market
            and outlook.currency = price.currency
        where
            price.known_from_date <= outlook.snapshot_date
            and price.valid_from_date <= outlook.next_renewal_date
    ),

    price_outlooks as (
        select
            snapshot_date,
            next_renewal_date,
            plan_id,
            market,
            currency,
            max(if(is_begun and place_of_begun = 1, price_amount, null)) as price_now,
            max(if(place = 1, price_amount, null)) as price_then
        from list_prices
        group by snapshot_date, next_renewal_date, plan_id, market, currency
    ),

    risks as (
        select
            due.snapshot_date,
            due.subscription_id,
            case
                when due.state = 'grace'
                then 'grace'
                when due.is_failed
                then 'failed_charge'
                when due.next_renewal_date < due.snapshot_date
                then 'overdue'
                when price.price_then > greatest(price.price_now, due.price_amount)
                then 'price_rise'
            end as renewal_risk
        from renewals as due
        left join
            price_outlooks as price
            on due.snapshot_date = price.snapshot_date
            and due.next_renewal_date = price.next_renewal_date
            and due.plan_id = price.plan_id
            and due.market = price.market
            and due.currency = price.currency
        where due.is_due
    )

select
    day.snapshot_date,
    day.subscription_id,
    day.account_id,
    day.provider,
    day.market,
    day.plan_id,
    day.plan_kind,
    day.billing_interval,
    cast(day.billing_interval_count as int64) as billing_interval_count,
    day.state,
    day.state = 'trial' as is_trial,
    day.is_paid,
    day.is_auto_renew,
    day.was_active_at_day_start,
    day.was_active_at_day_end,
    day.price_amount,
    day.currency,
    {{ from_cents("day.mrr_cents") }} as mrr_amount,
    {{ from_cents("day.mrr_usd_cents") }} as mrr_usd_amount,
    {{ from_cents("day.net_mrr_cents") }} as net_mrr_amount,
    {{ from_cents("day.net_mrr_usd_cents") }} as net_mrr_usd_amount,
    cast(day.usd_rate as numeric(38, 9)) as usd_rate,
    cast(number.subscription_number as int64) as subscription_number,
    date(day.subscription_started_at) as subscription_start_date,
    day.tenure_days,
    day.current_period_end_at,
    if(day.state = 'trial', day.current_period_end_at, null) as trial_ends_at,
    renewal.next_renewal_date,
    coalesce(renewal.is_due, false) as is_renewal_due_14d,
    risk.renewal_risk,
    day.cancelled_at,
    date_diff(day.snapshot_date, date(day.cancelled_at), day) as days_since_cancelled
from subscription_days as day
inner join
    subscription_numbers as number
    on day.subscription_id = number.subscription_id
    and day.snapshot_date = number.snapshot_date
left join
    renewals as renewal
    on day.subscription_id = renewal.subscription_id
    and day.snapshot_date = renewal.snapshot_date
left join
    risks as risk on day.subscription_id = risk.subscription_id and day.snapshot_date = risk.snapshot_date
