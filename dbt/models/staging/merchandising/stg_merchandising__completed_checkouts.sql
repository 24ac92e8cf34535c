select checkout_id, account_id, offer_id, occurred_at, ingested_at, arrival_date
from {{ source("merchandising", "checkouts") }}
where {{ arrived_from(first_experiment_day()) }} and result = 'completed'
qualify {{ first_arrival("checkout_id") }}
