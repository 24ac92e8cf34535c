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
    array(
        select offer
        from unnest(offers) as offer
        with
        offset as place
        where not offer.is_control
        order by place
    ) as offers,
    suppressed_reason,
    served_until_at as valid_until_at,
    -- Apart, so that nobody who knows nothing of experiments shows it.
    array(
        select offer from unnest(offers) as offer with offset as place where offer.is_control order by place
    ) as held_back
from {{ ref("offer_decisions") }}
where
    {{ known_rebuilt_days("decision_date") }}
    and (array_length(offers) > 0 or suppressed_reason is not null)
    and coalesce(suppressed_reason, '') != 'TEST_ACCOUNT'
