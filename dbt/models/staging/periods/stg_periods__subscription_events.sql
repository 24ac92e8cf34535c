select
    provider,
    provider_event_id,
    subscription_id,
    account_id,
    event_type,
    plan_id,
    price_amount,
    currency,
    `interval` as billing_interval,
    {{ told_interval_count("`interval`", "interval_count") }} as billing_interval_count,
    trial_ends_at,
    period_start_at,
    period_end_at,
    auto_renew as is_auto_renew,
    reason,
    offer_id,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
from {{ source("periods", "subscription_events") }}
where {{ arrived_from(history_from("int_subscription_events")) }}
