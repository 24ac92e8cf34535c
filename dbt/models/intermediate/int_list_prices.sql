{{ config(materialized="view") }}

select
    plan_id,
    market,
    currency,
    valid_from_date,
    coalesce(
        lead(valid_from_date) over (partition by plan_id, market, currency order by valid_from_date),
        date '9999-12-31'
    ) as valid_to_date,
    price_amount,
    is_tax_inclusive
from {{ ref("stg_billing__plan_prices") }}
