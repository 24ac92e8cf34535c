{{ config(materialized="table", cluster_by=["plan_id"], meta={"published": "whole"}) }}

with prices as (select *, {{ to_cents("price_amount") }} as price_cents from {{ ref("int_list_prices") }})

select
    plan.plan_id,
    price.market,
    price.currency,
    price.valid_from_date,
    price.valid_to_date,
    coalesce(
        price.valid_from_date <= {{ as_of_day() }} and price.valid_to_date > {{ as_of_day() }}, false
    ) as is_current,
    plan.plan_kind,
    plan.billing_interval,
    cast(plan.billing_interval_count as int64) as billing_interval_count,
    cast(plan.trial_days as int64) as trial_days,
    cast(plan.seats as int64) as seats,
    cast(price.price_amount as numeric(38, 9)) as list_price_amount,
    {{ from_cents(month_cents("price.price_cents", "plan.billing_interval", "plan.billing_interval_count")) }}
    as monthly_list_price_amount,
    price.is_tax_inclusive
from {{ ref("stg_billing__plans") }} as plan
left join prices as price on plan.plan_id = price.plan_id
