select
    plan_id,
    kind as plan_kind,
    `interval` as billing_interval,
    {{ told_interval_count("`interval`", "interval_count") }} as billing_interval_count,
    trial_days,
    seats,
    ingested_at
from {{ source("billing", "plans") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("plan_id") }}
