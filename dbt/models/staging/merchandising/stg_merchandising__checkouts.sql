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
where {{ arrived_from(touches_from_day()) }}
qualify {{ first_arrival("checkout_id") }}
