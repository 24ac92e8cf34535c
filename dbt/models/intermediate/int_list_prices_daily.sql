{{ config(cluster_by=["plan_id"]) }}

with
    days as (
        select price_date
        from
            unnest(
                generate_date_array({{ start_day(-1 - experiment_reach_days()) }}, {{ end_day() }})
            ) as price_date
    ),

    -- What the first catalogue says speaks for the days before it arrived as well.
    versions as (
        select
            *,
            if(
                arrival_date = min(arrival_date) over (),
                valid_from_date,
                greatest(valid_from_date, arrival_date)
            ) as known_from_date
        from {{ ref("stg_billing__plan_price_versions") }}
    ),

    prices as (
        select
            day.price_date,
            version.plan_id,
            version.market,
            version.currency,
            plan.billing_interval,
            plan.billing_interval_count,
            version.price_amount
        from days as day
        inner join versions as version on version.known_from_date <= day.price_date
        inner join {{ ref("stg_billing__plans") }} as plan on version.plan_id = plan.plan_id
        where true
        qualify
            row_number() over (
                partition by day.price_date, version.plan_id, version.market, version.currency
                order by version.valid_from_date desc, version.arrival_date desc
            )
            = 1
    )

select *, currency as told_currency
from prices
union all
-- Where a market has one currency, an event need not tell it.
select *, cast(null as string)
from prices
where true
qualify count(*) over (partition by price_date, plan_id, market) = 1
