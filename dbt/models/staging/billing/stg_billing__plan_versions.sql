with
    of_the_day as (
        select plan_id, `interval` as billing_interval, arrival_date
        from {{ source("billing", "plans") }}
        where {{ arrived() }}
        qualify {{ latest_arrival("plan_id, arrival_date") }}
    )

select
    plan_id,
    billing_interval,
    arrival_date as known_from_date,
    coalesce(
        lead(arrival_date) over (partition by plan_id order by arrival_date), date '9999-12-31'
    ) as known_until_date
from of_the_day
