{{
    config(
        materialized="table",
        partition_by={"field": "known_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "partitions": "checkpoint",
            "feeds_until_day": journey_feeds(),
        },
    )
}}

select
    date '{{ checkpoint_day() }}' as known_date,
    converted_subscription_id as subscription_id,
    converted_at as trial_started_at,
    account_id,
    offer_id as last_touch_offer_id,
    last_touch_rule_id,
    last_touch_rule_version
from {{ ref("int_checkpoint_journeys") }}
where
    is_last_touch_conversion
    and conversion_type = 'trial'
    and converted_at >= timestamp '{{ moved_day(journey_cut_day(), -converted_reach_days()) }}'
