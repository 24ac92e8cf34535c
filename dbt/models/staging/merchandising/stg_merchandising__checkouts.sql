select
    checkout_id,
    click_id,
    account_id,
    offer_id,
    surface,
    market,
    result as checkout_result,
    subscription_id,
    occurred_at,
    ingested_at,
    arrival_date
from {{ source("merchandising", "checkouts") }}
where {{ arrived_within(journey_reach_days()) }}
qualify {{ first_arrival("checkout_id") }}
