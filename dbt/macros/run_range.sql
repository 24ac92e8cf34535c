{# ISO date, the later of several. #}
{% macro latest_of() -%} {{ return(varargs | map("string") | max) }} {%- endmacro %}

{# ISO date, the earlier of several. #}
{% macro earliest_of() -%} {{ return(varargs | map("string") | min) }} {%- endmacro %}

{# ISO date some days from another. #}
{% macro moved_day(day, plus_days) -%}
    {{
        return(
            (
                modules.datetime.date.fromisoformat(day | string)
                + modules.datetime.timedelta(days=plus_days)
            ).isoformat()
        )
    }}
{%- endmacro %}

{#
  A day of the run as ISO text: start_date, end_date or as_of_date. Runs give all three as vars. By hand, the last
  day is SEGUE_DBT_DAY or yesterday (UTC), and the other two are the last day. In `--vars` a day may be a text or a
  YAML date.
#}
{% macro run_day(name) -%}
    {%- set given = var(name, none) or var("end_date", none) or env_var("SEGUE_DBT_DAY", "") -%}
    {{ return((given or moved_day(run_started_at.date(), -1)) | string) }}
{%- endmacro %}

{#
  The days of a run as date literals. Jinja computes them, so that every filter is a constant and BigQuery
  prunes partitions before it reads anything.
#}
{% macro day_literal(day, plus_days=0) -%} date '{{ moved_day(day, plus_days) }}' {%- endmacro %}

{% macro start_day(plus_days=0) -%} {{ day_literal(run_day("start_date"), plus_days) }} {%- endmacro %}

{% macro end_day(plus_days=0) -%} {{ day_literal(run_day("end_date"), plus_days) }} {%- endmacro %}

{% macro as_of_day(plus_days=0) -%} {{ day_literal(run_day("as_of_date"), plus_days) }} {%- endmacro %}

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
  First arrival day that a scan has to read: the history's, or with `since_days` only arrivals from that many
  days before the run's first day on. An event is at most a day ahead of its arrival (the landing contract), so
  two more days are enough to see every event since then.
#}
{% macro first_arrival_day(since_days=none) -%}
    {%- set first = var("history_start_date") | string -%}
    {%- if since_days is not none -%}
        {%- set first = latest_of(first, moved_day(run_day("start_date"), -since_days - 2)) -%}
    {%- endif -%}
    {{ return(first) }}
{%- endmacro %}

{# Filter of every scan of raw: rows that arrived since then and were known at the as-of day. #}
{% macro arrived(since_days=none) -%}
    arrival_date between date '{{ first_arrival_day(since_days) }}' and {{ as_of_day() }}
{%- endmacro %}

{# Whether a dated row (an account's version, a rate, a price) is the one of the day. #}
{% macro valid_on(row, day) -%}
    {{ day }} >= {{ row }}.valid_from_date and {{ day }} < {{ row }}.valid_to_date
{%- endmacro %}

{#
  First day on which a row counts, beside `int_first_arrival as first_arrival`: its own day or that of its
  arrival, whichever is later. Days before the first arrival know what the first arrival tells.
#}
{% macro counts_from(day, row) -%}
    greatest(
        {{ day }},
        if({{ row }}.arrival_date <= first_arrival.first_arrival_date, {{ day }}, {{ row }}.arrival_date)
    )
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
