{{ config(cluster_by=["account_id"], group="offers") }}

{%- set cut = "timestamp '" ~ journey_cut_day() ~ "'" %}
{%- set skipped = skipped_checkpoints() %}

with recursive
    states as ({{ rows_before_checkpoint("int_offer_journey_states", journey_state_columns()) }}),

    -- Unless this run builds the checkpoint, no lives are read.
    lives as (
        {{
            history_rows(
                "int_subscription_versions",
                "known_date",
                checkpoint_from(is_journey_checkpoint_built()),
                last=checkpoint_day(),
                columns="known_date, " ~ life_columns(),
            )
        }}
        {%- if not execute or skipped %}
            union all
            select known_date, {{ life_columns() }}
            from {{ ref("int_subscription_lives") }}
            where
                is_skipped_checkpoint
                and known_date
                between date '{{ skipped | first or checkpoint_day() }}'
                and date '{{ skipped | last or checkpoint_day() }}'
        {%- endif %}
    ),

    {{
        touch_ctes(
            ref("stg_merchandising__past_impressions"),
            ref("stg_merchandising__past_clicks"),
            ref("int_checkpoint_accounts"),
            cut,
            ["rule_id", "rule_version"],
            is_checkpoint=true,
        )
    }},

    touches_since as (select * from touches where touched_at >= {{ checkpoint_since() }}),

    {{ moment_cte("touches_since") }},

    {{ start_ctes("lives", ref("int_checkpoint_accounts"), checkpoint_since(), is_checkpoint=true) }},

    {{ journey_ctes(cut) }},

    {{ last_touch_ctes("touches_since", ["rule_id", "rule_version"]) }}

select
    journey.account_id,
    journey.offer_id,
    journey.opened_at,
    journey.last_touch_at,
    {{ last_touch_rule(checkpoint_since()) }},
    journey.ended_at,
    journey.converted_at,
    start.subscription_id as converted_subscription_id,
    start.conversion_type,
    {{ is_last_touch_credit("journey") }} as is_last_touch_conversion
from journeys as journey
left join states as state on journey.account_id = state.account_id and journey.offer_id = state.offer_id
left join
    last_touches as last_touch
    on journey.account_id = last_touch.account_id
    and journey.offer_id = last_touch.offer_id
    and journey.opened_at = last_touch.opened_at
left join starts as start on journey.account_id = start.account_id and journey.converted_at = start.started_at
