select account_id, day as activity_date, streams, ad_ms, skips_blocked, arrival_date
from {{ source("listening", "engagement_daily") }}
where
    {{ arrived_within(var("feature_days")) }}
    -- A day that has not begun when its row arrives is a broken clock.
    and day <= date_add(arrival_date, interval 1 day)
qualify {{ latest_arrival("account_id, day, arrival_date") }}
