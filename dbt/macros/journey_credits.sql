{# Which touch led to a conversion: of a run's journeys, and of those that a checkpoint tells. #}
{# What a journey's last touch says of where it came from. #}
{% macro touch_details() -%}
    {{ return(["decision_id", "rule_id", "rule_version", "generation", "content_version"]) }}
{%- endmacro %}

{#
  CTE `last_touches`: of each of the CTE `journeys` its last touch, which may be a click on what an earlier one was
  shown.
#}
{% macro last_touch_ctes(touches, details) -%}
    last_touches as (
        select
            journey.account_id,
            journey.offer_id,
            journey.opened_at
            {%- for column in details %}, touch.{{ column }} as last_touch_{{ column }} {%- endfor %}
        from journeys as journey
        inner join
            {{ touches }} as touch
            on journey.account_id = touch.account_id
            and journey.offer_id = touch.offer_id
            and journey.last_touch_at = touch.touched_at
        where true
        qualify
            row_number() over (
                partition by journey.account_id, journey.offer_id, journey.opened_at
                order by if(touch.click_id is null, 1, 0), touch.shown_at desc, touch.impression_id
            )
            = 1
    )
{%- endmacro %}

{#
  The last touch's rule, of a journey joined with its `state` and `last_touch`: what was touched last before the CTE
  `states` tells, it tells.
#}
{% macro last_touch_rule(since) -%}
    {%- for column in ["last_touch_rule_id", "last_touch_rule_version"] %}
        if(
            journey.last_touch_at < {{ since }}, state.{{ column }}, last_touch.{{ column }}
        ) as {{ column }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#
  Whether a journey is the one that is credited with the start that converted it: a start converts all that is open.
#}
{% macro is_last_touch_credit(journey) -%}
    {{ journey }}.converted_at is not null
    and row_number() over (
        partition by {{ journey }}.account_id, {{ journey }}.converted_at
        order by {{ journey }}.last_touch_at desc, {{ journey }}.opened_at desc, {{ journey }}.offer_id
    )
    = 1
{%- endmacro %}
