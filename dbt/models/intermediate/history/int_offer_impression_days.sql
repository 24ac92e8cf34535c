{{
    config(
        materialized="table",
        partition_by={"field": "arrival_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "feeds_of_day": ["offer_impressions"],
        },
    )
}}

with
    -- Delivered twice on one day. A redelivery on a later day tells of the same impression once more: what
    -- was shown first stays the first.
    impressions as (
        select *
        from {{ ref("stg_merchandising__impression_deliveries") }}
        where true
        qualify {{ first_arrival("arrival_date, impression_id") }}
    )

select
    arrival_date,
    account_id,
    offer_id,
    date(occurred_at) as impression_date,
    occurred_at,
    impression_id,
    surface
from impressions
-- What a control arm would have been shown opens no journey.
where is_shown
qualify
    row_number() over (
        partition by arrival_date, account_id, offer_id, date(occurred_at) order by occurred_at, impression_id
    )
    = 1
