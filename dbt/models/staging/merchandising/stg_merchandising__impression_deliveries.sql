select
    impression_id,
    account_id,
    offer_id,
    surface,
    coalesce(is_shown, true) as is_shown,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
from {{ source("merchandising", "offer_impressions") }}
where {{ arrived_from(history_from("int_offer_impression_days")) }}
