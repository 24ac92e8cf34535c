{{
    config(
        materialized="table",
        partition_by={"field": "arrival_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "feeds_of_day": [
                "subscription_events",
                "google_play_notifications",
                "app_store_notifications",
                "stripe_events",
            ],
            "feeds_until_day": ["plans"],
        },
    )
}}

{%- set providers = ["google_play", "app_store", "stripe", "periods"] %}

with
    {%- for provider in providers %}
        {{ provider }} as (
            select {{ event_columns(has_exports=provider == "periods") }}
            from {{ ref("stg_" ~ provider ~ "__subscription_events") }}
        ),
    {%- endfor %}

    events as (
        {%- for provider in providers %}
            select *
            from {{ provider }}
            {%- if not loop.last %}
                union all
            {%- endif %}
        {%- endfor %}
    )

select *
from events
where true
-- Delivered twice on one day. A later redelivery has a partition of its own and is found by the readers.
qualify {{ first_arrival("arrival_date, provider, provider_event_id") }}
