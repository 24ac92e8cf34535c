{# Which touch led to a conversion: of a run's journeys, and of those that a checkpoint tells. #}
{# What a journey's last touch says of where it came from. #}
{% macro touch_details() -%}
    {{ return(["decision_id", "rule_id", "rule_version", "generation", "content_version"]) }}
{%- endmacro %}

{#
  CTE `moment_details`: what a journey says of its last touch, by the moment of that. The touch may be a click on what an
  earlier journey was shown.
#}
{% macro moment_detail_ctes(touches, details) -%}
    moment_details as (
        select
            account_id,
            offer_id,
            touched_at
            {%- for column in details %}, {{ column }} as last_touch_{{ column }} {%- endfor %}
        from {{ touches }}
        where true
        qualify
            row_number() over (
                partition by account_id, offer_id, touched_at
                order by if(click_id is null, 1, 0), shown_at desc, impression_id
            )
            = 1
    )
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
