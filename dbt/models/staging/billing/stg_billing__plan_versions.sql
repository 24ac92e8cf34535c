with
    of_the_day as (
        select
            plan_id,
            kind as plan_kind,
            seats,
            `interval` as billing_interval,
            {{ told_interval_count("`interval`", "interval_count") }} as billing_interval_count,
            arrival_date
        from {{ source("billing", "plans") }}
        where {{ arrived_ever() }}
        qualify {{ latest_arrival("plan_id, arrival_date") }}
    )

select
    plan_id,
    plan_kind,
    seats,
    billing_interval,
    billing_interval_count,
    arrival_date as known_from_date,
    {{ until_next("arrival_date", "plan_id") }} as known_until_date
from of_the_day
