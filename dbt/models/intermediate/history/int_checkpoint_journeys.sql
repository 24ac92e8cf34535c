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
            ["rule_id", "rule_version"],
        )
    }},

    moments as (
        select account_id, offer_id, touched_at, logical_or(click_id is null) as is_shown, false as is_carried
        from touches
        group by account_id, offer_id, touched_at
    ),

    {{ start_ctes("lives", ref("int_checkpoint_accounts")) }},

    {{ journey_ctes(cut) }},

    {{ last_touch_ctes("touches", ["rule_id", "rule_version"]) }}

select
    journey.account_id,
    journey.offer_id,
    journey.opened_at,
    journey.last_touch_at,
    last_touch.last_touch_rule_id,
    last_touch.last_touch_rule_version,
    journey.ended_at,
    journey.converted_at,
    start.subscription_id as converted_subscription_id,
    start.conversion_type,
    {{ is_last_touch_credit("journey") }} as is_last_touch_conversion
from journeys as journey
inner join
    last_touches as last_touch
    on journey.account_id = last_touch.account_id
    and journey.offer_id = last_touch.offer_id
    and journey.opened_at = last_touch.opened_at
left join starts as start on journey.account_id = start.account_id and journey.converted_at = start.started_at
