select
    model as model_name,
    account_id,
    score,
    scored_at,
    arrival_date,
    -- What the platform scores itself lands in files of this name; one day's files say all that a model says.
    starts_with(array_reverse(split(landing_file, '/'))[offset(0)], 'segue_') as is_own
from {{ source("scoring", "scores") }}
where {{ arrived_within(var("score_days")) }}
qualify {{ latest_arrival("model, account_id, scored_at, arrival_date") }}
