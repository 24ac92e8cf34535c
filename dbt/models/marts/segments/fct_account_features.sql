{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        meta={"published": "days", "restates_days": 0, "as_known_then": true},
    )
}}

select feature.*, coalesce(score.model_scores, []) as model_scores
from {{ ref("int_account_features") }} as feature
left join
    {{ ref("int_account_scores") }} as score
    on feature.account_id = score.account_id
    and feature.feature_date = score.feature_date
    and {{ known_rebuilt_days("score.feature_date") }}
where {{ known_rebuilt_days("feature.feature_date") }}
