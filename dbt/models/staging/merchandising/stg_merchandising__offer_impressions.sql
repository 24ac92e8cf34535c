select
    impression_id,
    account_id,
    offer_id,
    surface,
    market,
    decision_id,
    generation,
    content_version,
    occurred_at,
    ingested_at,
    arrival_date
from {{ source("merchandising", "offer_impressions") }}
where {{ arrived_within(journey_reach_days()) }}
qualify {{ first_arrival("impression_id") }}
