select plan_id, kind as plan_kind, `interval` as billing_interval, trial_days, seats, ingested_at
from {{ source("billing", "plans") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("plan_id") }}
