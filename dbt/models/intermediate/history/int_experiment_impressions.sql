{{
    config(
        materialized="table",
        partition_by={"field": "arrival_date", "data_type": "date", "granularity": "day"},
        cluster_by=["experiment_id", "account_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "feeds_of_day": ["offer_impressions"],
        },
    )
}}

select
    arrival_date,
    impression_id,
    experiment_id,
    variant,
    account_id,
    offer_id,
    surface,
    rule_id,
    decision_id,
    generation,
    is_shown,
    occurred_at
from {{ ref("stg_merchandising__experiment_impressions") }}
where true
-- Delivered twice on one day. A redelivery on a later day is a row of that day, and readers keep the first.
qualify {{ first_arrival("arrival_date, impression_id") }}
