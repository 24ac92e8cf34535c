{{
    config(
        materialized="table",
        partition_by={"field": "known_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "partitions": "checkpoint",
            "feeds_until_day": [
                "offer_impressions",
                "offer_clicks",
                "accounts",
                "provider_accounts",
                "subscription_events",
                "google_play_notifications",
                "app_store_notifications",
                "stripe_events",
                "plans",
            ],
        },
    )
}}

{#- Unless this run builds the checkpoint, no lives are read. #}
{%- set lives_from = checkpoint_from(is_journey_checkpoint_built()) %}
{%- set cut = "timestamp '" ~ journey_cut_day() ~ "'" %}

with recursive
    lives as (
        {{
            history_rows(
                "int_subscription_versions",
                "known_date",
                lives_from,
                last=checkpoint_day(),
                columns=life_columns(),
            )
        }}
    ),

    {{
        touch_ctes(
            ref("stg_merchandising__past_impressions"),
            ref("stg_merchandising__past_clicks"),
            ref("int_checkpoint_accounts"),
            cut,
        )
    }},

    moments as (
        select account_id, offer_id, touched_at, logical_or(click_id is null) as is_shown, false as is_carried
        from touches
        group by account_id, offer_id, touched_at
    ),

    {{ start_ctes("lives", ref("int_checkpoint_accounts")) }},

    {{ journey_ctes(cut) }}

select
    date '{{ checkpoint_day() }}' as known_date,
    account_id,
    offer_id,
    cast(count(*) as int64) as journeys,
    max(if(ended_at is null, opened_at, null)) as opened_at,
    max(if(ended_at is null, last_touch_at, null)) as last_touch_at
from journeys
group by account_id, offer_id
