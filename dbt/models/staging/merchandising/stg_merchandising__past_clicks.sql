select click_id, impression_id, occurred_at
from {{ source("merchandising", "offer_clicks") }}
where {{ arrived_by_checkpoint() }}
qualify {{ first_arrival("click_id") }} and arrival_date <= {{ told_on("date(occurred_at)") }}
