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
where {{ arrived_within(payment_window_days()) }}
-- A payment that is pending and then settles is told twice, and is not delivered twice.
qualify {{ first_arrival("payment_id, payment_status") }}
