select click_id, impression_id, account_id, offer_id, surface, market, occurred_at, ingested_at, arrival_date
from {{ source("merchandising", "offer_clicks") }}
where {{ arrived_from(touches_from_day()) }}
qualify {{ first_arrival("click_id") }}
