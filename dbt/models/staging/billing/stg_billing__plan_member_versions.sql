select subscription_id, account_id, role, joined_at, left_at, arrival_date
from {{ source("billing", "plan_members") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("subscription_id, account_id, joined_at, arrival_date") }}
