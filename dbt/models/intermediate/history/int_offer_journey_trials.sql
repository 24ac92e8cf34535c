{{ config(journey_checkpoint()) }}

{%- set reached_at = "timestamp '" ~ moved_day(journey_cut_day(), -converted_reach_days()) ~ "'" %}
{%- set columns = {
    "subscription_id": "string",
    "trial_started_at": "timestamp",
    "account_id": "string",
    "last_touch_offer_id": "string",
    "last_touch_rule_id": "string",
    "last_touch_rule_version": "int64",
} %}

with
    before as ({{ rows_before_checkpoint("int_offer_journey_trials", columns) }}),

    told as (
        select
            converted_subscription_id as subscription_id,
            converted_at as trial_started_at,
            account_id,
            offer_id as last_touch_offer_id,
            last_touch_rule_id,
            last_touch_rule_version
        from {{ ref("int_checkpoint_journeys") }}
        where is_last_touch_conversion and conversion_type = 'trial'
        union all
        select {{ columns | join(", ") }}
        from before
    )

select date '{{ checkpoint_day() }}' as known_date, {{ columns | join(", ") }}
from told
where trial_started_at >= {{ reached_at }}
