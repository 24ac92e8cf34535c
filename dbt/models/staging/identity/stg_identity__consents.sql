select account_id, purpose as consent_purpose, granted as is_granted, occurred_at, ingested_at, arrival_date
from {{ source("identity", "consents") }}
where {{ arrived_ever() }}
qualify {{ first_arrival("account_id, purpose, occurred_at") }}
