select
    plan_id,
    market,
    currency,
    valid_from as valid_from_date,
    price_amount,
    tax_inclusive as is_tax_inclusive,
    ingested_at,
    arrival_date
from {{ source("billing", "plan_prices") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("plan_id, market, currency, valid_from") }}
