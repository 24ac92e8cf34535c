select experiment_id, account_id, variant, salt_version, occurred_at, ingested_at
from {{ source("merchandising", "experiment_assignments") }}
where {{ arrived_ever() }}
qualify {{ first_arrival("experiment_id, account_id") }}
