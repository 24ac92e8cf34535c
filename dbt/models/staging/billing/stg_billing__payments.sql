select
    payment_id,
    subscription_id,
    kind as payment_kind,
    amount as payment_amount,
    currency,
    status as payment_status,
    attempt as attempt_number,
    decline_code,
    refunded_payment_id,
    occurred_at,
    ingested_at,
    arrival_date
from {{ source("billing", "payments") }}
where {{ arrived(since_days=90) }}
qualify {{ first_arrival("payment_id") }}
