select request_id, account_id, requested_at, ingested_at, arrival_date
from {{ source("identity", "deletion_requests") }}
where {{ arrived_ever() }}
qualify {{ first_arrival("request_id") }}
