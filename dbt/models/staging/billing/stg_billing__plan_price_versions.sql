with
    of_the_day as (
        select plan_id, market, currency, valid_from as valid_from_date, price_amount, arrival_date
        from {{ source("billing", "plan_prices") }}
        where {{ arrived_ever() }}
        qualify {{ latest_arrival("plan_id, market, currency, valid_from, arrival_date") }}
    )

-- A catalogue that is delivered again says nothing new.
select *
from of_the_day
where true
qualify
    price_amount is distinct from lag(price_amount) over (
        partition by plan_id, market, currency, valid_from_date order by arrival_date
    )
