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
    account_id,
    offer_id,
    cast(count(*) as int64) as journeys,
    max(if(ended_at is null, opened_at, null)) as opened_at,
    max(if(ended_at is null, last_touch_at, null)) as last_touch_at,
    max(if(ended_at is null, last_touch_rule_id, null)) as last_touch_rule_id,
    max(if(ended_at is null, last_touch_rule_version, null)) as last_touch_rule_version
from {{ ref("int_checkpoint_journeys") }}
group by account_id, offer_id
