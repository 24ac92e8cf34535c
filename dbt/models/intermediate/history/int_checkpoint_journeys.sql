{{ config(cluster_by=["account_id"], group="offers") }}

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

select account_id, offer_id, opened_at, last_touch_at, ended_at
from journeys
