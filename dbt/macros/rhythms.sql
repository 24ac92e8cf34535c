{# Unit of an ISO 8601 duration of one unit (P3M, P2W); null of any other text. #}
{% macro duration_interval(text) -%}
    case
        regexp_extract({{ text }}, r'^P[1-9][0-9]*([DWMY])$')
        when 'D'
        then 'day'
        when 'W'
        then 'week'
        when 'M'
        then 'month'
        when 'Y'
        then 'year'
    end
{%- endmacro %}

{# How many of its units an ISO 8601 duration of one unit has; null of any other text. #}
{% macro duration_count(text) -%}
    cast(regexp_extract({{ text }}, r'^P([1-9][0-9]*)[DWMY]$') as int64)
{%- endmacro %}

{#
  How often is paid, told by one paid period: n months where it ends on the same day of the month (a day more or
  less: renewals are a little early or late), else n weeks, else n days.
#}
{% macro period_interval(start_at, end_at) -%}
    case
        when {{ _ends_on_its_day_of_the_month(start_at, end_at) }}
        then if(mod({{ _nearest_months(start_at, end_at) }}, 12) = 0, 'year', 'month')
        when mod({{ _days_between(start_at, end_at) }}, 7) = 0
        then 'week'
        else 'day'
    end
{%- endmacro %}

{# How many of its intervals a period has. #}
{% macro period_interval_count(start_at, end_at) -%}
    case
        when {{ _ends_on_its_day_of_the_month(start_at, end_at) }}
        then
            if(
                mod({{ _nearest_months(start_at, end_at) }}, 12) = 0,
                div({{ _nearest_months(start_at, end_at) }}, 12),
                {{ _nearest_months(start_at, end_at) }}
            )
        when mod({{ _days_between(start_at, end_at) }}, 7) = 0
        then div({{ _days_between(start_at, end_at) }}, 7)
        else {{ _days_between(start_at, end_at) }}
    end
{%- endmacro %}

{% macro _days_between(start_at, end_at) -%}
    greatest(cast(round(timestamp_diff({{ end_at }}, {{ start_at }}, minute) / 1440) as int64), 1)
{%- endmacro %}

{% macro _nearest_months(start_at, end_at) -%}
    cast(round({{ _days_between(start_at, end_at) }} / 30.4375) as int64)
{%- endmacro %}

{% macro _ends_on_its_day_of_the_month(start_at, end_at) -%}
    (
        {{ _nearest_months(start_at, end_at) }} > 0
        and abs(
            date_diff(
                date({{ end_at }}),
                date_add(date({{ start_at }}), interval {{ _nearest_months(start_at, end_at) }} month),
                day
            )
        )
        <= 1
    )
{%- endmacro %}

{#
  Whether a paid period shows the other one of two rhythms that are nearly as long: every 4 weeks instead of the
  month that is listed, or a month instead of the 4 weeks. The period must have whole days, but for an hour: of
  a month that is paid some two days late 28 days are left, too. 28 days that are a month, February, show nothing.
#}
{% macro shows_four_weeks_or_month(listed_hours, start_at, end_at) -%}
    case
        when mod(timestamp_diff({{ end_at }}, {{ start_at }}, minute) + 60, 1440) > 61
        then false
        when {{ listed_hours }} = {{ rhythm_hours("'month'", 1) }}
        then
            {{ _days_between(start_at, end_at) }} = 28
            and not {{ _ends_on_its_day_of_the_month(start_at, end_at) }}
        when {{ listed_hours }} = {{ rhythm_hours("'week'", 4) }}
        then
            {{ _days_between(start_at, end_at) }} > 28
            and {{ _ends_on_its_day_of_the_month(start_at, end_at) }}
        else false
    end
{%- endmacro %}

{# Usual length of a rhythm in hours. #}
{% macro rhythm_hours(billing_interval, interval_count) -%}
    {{ interval_count }}
    * case {{ billing_interval }} when 'day' then 24 when 'week' then 168 when 'month' then 730 else 8766 end
{%- endmacro %}
