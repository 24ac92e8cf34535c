{#
  The days of a run as date literals. Jinja computes them, so that every filter is a constant and BigQuery
  prunes partitions before it reads anything.
#}
{% macro day_literal(day, plus_days=0) -%}
    {%- set moved = modules.datetime.date.fromisoformat(day | string) + modules.datetime.timedelta(
        days=plus_days
    ) -%}
    date '{{ moved.isoformat() }}'
{%- endmacro %}

{% macro start_day(plus_days=0) -%} {{ day_literal(var("start_date"), plus_days) }} {%- endmacro %}

{% macro end_day(plus_days=0) -%} {{ day_literal(var("end_date"), plus_days) }} {%- endmacro %}

{% macro as_of_day(plus_days=0) -%} {{ day_literal(var("as_of_date"), plus_days) }} {%- endmacro %}

{#
  The partitions a mart rebuilds: the run's days, and as many days before them as the mart restates.
  Also the value of the config `partitions`, which makes dbt take its static path.
#}
{% macro rebuilt_days(column, restates_days=0) -%}
    {{ column }} between {{ start_day(-restates_days) }} and {{ end_day() }}
{%- endmacro %}

{% macro rebuilt_bounds(restates_days=0) %}
    {{ return([start_day(-restates_days) | trim, end_day() | trim]) }}
{% endmacro %}

{#
  Filter of every scan of raw: rows that arrived within the history and were known at the as-of day. With
  `since_days`, only arrivals from that many days before the run's first day on: an event is at most a day
  ahead of its arrival (the landing contract), so two more days are enough to see every event since then.
#}
{% macro arrived(since_days=none) -%}
    {%- set first = var("history_start_date") | string -%}
    {%- if since_days is not none -%}
        {%- set needed = (
            modules.datetime.date.fromisoformat(var("start_date") | string)
            - modules.datetime.timedelta(days=since_days + 2)
        ).isoformat() -%}
        {%- set first = [first, needed] | max -%}
    {%- endif -%}
    arrival_date between date '{{ first }}' and {{ as_of_day() }}
{%- endmacro %}

{# Redelivery: rows of one key are one event, the first to arrive is kept. #}
{% macro first_arrival(key) -%}
    row_number() over (partition by {{ key }} order by ingested_at, landing_file, landing_row) = 1
{%- endmacro %}

{# Correction: rows of one key are versions of one fact, the latest to arrive is kept. #}
{% macro latest_arrival(key) -%}
    row_number() over (partition by {{ key }} order by ingested_at desc, landing_file desc, landing_row desc)
    = 1
{%- endmacro %}
