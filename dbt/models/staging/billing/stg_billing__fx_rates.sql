select day as rate_date, currency, usd_rate, ingested_at
from {{ source("billing", "fx_rates") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("day, currency") }}
