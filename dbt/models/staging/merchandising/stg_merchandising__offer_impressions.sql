select
    impression_id,
    account_id,
    offer_id,
    surface,
    market,
    decision_id,
    generation,
    content_version,
    rule_id,
    rule_version,
    experiment_id,
    variant,
    -- Feeds that only tell of what was shown have no such column.
    coalesce(is_shown, true) as is_shown,
    occurred_at,
    ingested_at,
    arrival_date
from {{ source("merchandising", "offer_impressions") }}
where {{ arrived_from(touches_from_day()) }}
qualify {{ first_arrival("impression_id") }}
