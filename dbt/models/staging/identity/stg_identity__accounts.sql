select
    account_id,
    created_at,
    market,
    locale,
    birth_year_band,
    is_test,
    is_employee,
    merged_into as merged_into_account_id,
    deleted_at,
    arrival_date,
    ingested_at
from {{ source("identity", "accounts") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("account_id, arrival_date") }}
