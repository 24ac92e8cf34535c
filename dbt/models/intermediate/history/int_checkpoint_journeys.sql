{{ config(cluster_by=["account_id"], group="offers") }}

{%- set cut = "timestamp '" ~ journey_cut_day() ~ "'" %}

with recursive {{ journey_ctes(ref("int_checkpoint_moments"), cut) }}

select
    journey.account_id,
    journey.offer_id,
    journey.opened_at,
    journey.last_touch_at,
    last_touch.last_touch_rule_id,
    last_touch.last_touch_rule_version,
    journey.ended_at,
    journey.converted_at,
    opening.converted_subscription_id,
    opening.conversion_type,
    {{ is_last_touch_credit("journey") }} as is_last_touch_conversion
from journeys as journey
inner join
    {{ ref("int_checkpoint_moments") }} as opening
    on journey.account_id = opening.account_id
    and journey.offer_id = opening.offer_id
    and journey.opened_at = opening.touched_at
inner join
    {{ ref("int_checkpoint_moments") }} as last_touch
    on journey.account_id = last_touch.account_id
    and journey.offer_id = last_touch.offer_id
    and journey.last_touch_at = last_touch.touched_at
