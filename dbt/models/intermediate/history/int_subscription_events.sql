{{
    config(
        materialized="table",
        partition_by={"field": "arrival_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
        contract={"enforced": true},
        meta={"published": "arrivals", "built_from": "events_from_date"},
    )
}}

{%- set providers = ["google_play", "app_store", "stripe", "periods"] %}

with
    {%- for provider in providers %}
        {{ provider }} as (
            select {{ event_columns() }}
            from {{ ref("stg_" ~ provider ~ "__subscription_events") }}
            where arrival_date between date '{{ var("events_from_date") }}' and {{ as_of_day() }}
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
qualify
    row_number() over (
        partition by arrival_date, provider, provider_event_id order by ingested_at, landing_file, landing_row
    )
    = 1
