select model as model_name, account_id, score, scored_at, arrival_date
from {{ source("scoring", "scores") }}
where {{ arrived(since_days=28) }}
qualify {{ latest_arrival("model, account_id, scored_at") }}
