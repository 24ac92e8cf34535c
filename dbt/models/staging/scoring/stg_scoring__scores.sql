select model as model_name, account_id, score, scored_at, arrival_date
from {{ source("scoring", "scores") }}
where {{ arrived_within(var("score_days")) }}
qualify {{ latest_arrival("model, account_id, scored_at, arrival_date") }}
