{{ config(materialized="view") }}

select
    plan_id,
    market,
    currency,
    valid_from_date,
    {{ until_next("valid_from_date", "plan_id, market, currency") }} as valid_to_date,
    price_amount,
    is_tax_inclusive
from {{ ref("stg_billing__plan_prices") }}
