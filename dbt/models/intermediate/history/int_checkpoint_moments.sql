{{ config(cluster_by=["account_id"], group="offers") }}

{#- Unless this run builds the checkpoint, no lives are read. #}
{%- set lives_from = checkpoint_from(is_journey_checkpoint_built()) %}
{%- set cut = "timestamp '" ~ journey_cut_day() ~ "'" %}

with
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

    {{ moment_ctes(cut) }},

    {{ moment_detail_ctes("touches", ["rule_id", "rule_version"]) }}

select
    moment.account_id,
    moment.offer_id,
    moment.chain,
    moment.touched_at,
    moment.converted_at,
    start.subscription_id as converted_subscription_id,
    start.conversion_type,
    moment.next_from_at,
    moment.next_opened_at,
    detail.last_touch_rule_id,
    detail.last_touch_rule_version
from told_moments as moment
inner join
    moment_details as detail
    on moment.account_id = detail.account_id
    and moment.offer_id = detail.offer_id
    and moment.touched_at = detail.touched_at
left join starts as start on moment.account_id = start.account_id and moment.converted_at = start.started_at
