{#
  The rhythm of a plan in one spelling: twelve months are a year. Whether somebody moved to another rhythm must not
  depend on which of the two a provider says.
#}
{% macro yearly_interval(interval, count) -%}
    if({{ interval }} = 'month' and mod({{ count }}, 12) = 0, 'year', {{ interval }})
{%- endmacro %}

{% macro yearly_count(interval, count) -%}
    cast(
        if({{ interval }} = 'month' and mod({{ count }}, 12) = 0, div({{ count }}, 12), {{ count }}) as int64
    )
{%- endmacro %}

{# How much a plan of the kind is for: moving to a larger number is an upgrade. 0 is no paid plan. #}
{% macro plan_rank(plan_kind) -%}
    case
        {{ plan_kind }}
        when 'free'
        then 0
        when 'basic'
        then 2
        when 'student'
        then 3
        when 'individual'
        then 4
        when 'duo'
        then 5
        when 'family'
        then 6
        else 1
    end
{%- endmacro %}

{# Twelfths of a day that one payment pays for, so that lengths can be compared: a year has 365 days. #}
{% macro rhythm_length(interval, count) -%}
    case {{ interval }} when 'day' then 12 when 'week' then 84 when 'month' then 365 when 'year' then 4380 end
    * {{ count }}
{%- endmacro %}
