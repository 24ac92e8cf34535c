{{
    config(
        partition_by={"field": "segment_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        meta={"published": "days", "restates_days": 0, "as_known_then": true},
    )
}}

select
    decision_date as segment_date,
    account_id,
    market,
    offers,
    suppressed_reason,
    served_until_at as valid_until_at
from {{ ref("offer_decisions") }}
where
    {{ known_rebuilt_days("decision_date") }}
    and (array_length(offers) > 0 or suppressed_reason is not null)
    and coalesce(suppressed_reason, '') != 'TEST_ACCOUNT'
