select
    provider || ':' || coalesce(customer_id, subscription_id) as provider_account_id,
    account_id,
    arrival_date,
    ingested_at
from {{ source("identity", "provider_accounts") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("provider, coalesce(customer_id, subscription_id), arrival_date") }}
