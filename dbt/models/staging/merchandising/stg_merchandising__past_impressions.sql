select
    impression_id,
    account_id,
    offer_id,
    rule_id,
    rule_version,
    coalesce(is_shown, true) as is_shown,
    occurred_at
from {{ source("merchandising", "offer_impressions") }}
where {{ arrived_by_checkpoint() }}
qualify {{ first_arrival("impression_id") }} and arrival_date <= {{ told_on("date(occurred_at)") }}
