select
    impression_id,
    experiment_id,
    variant,
    account_id,
    offer_id,
    surface,
    rule_id,
    decision_id,
    generation,
    coalesce(is_shown, true) as is_shown,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
from {{ source("merchandising", "offer_impressions") }}
where {{ arrived_from(history_from("int_experiment_impressions")) }} and experiment_id is not null
