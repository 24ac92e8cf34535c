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

{# The partitions a mart rebuilds: the run's days, and as many days before them as the mart restates. #}
{% macro rebuilt_days(column, restates_days=0) -%}
    {{ column }} between {{ start_day(-restates_days) }} and {{ end_day() }}
{%- endmacro %}

{#
  The same of marts that describe a day as it was known then: what arrives later does not change them, so that they
  begin with the first day that was asked for, or that a correction reaches, and not where late events do.
#}
{% macro known_start_day(plus_days=0) -%}
    {{ day_literal(var("known_start_date", none) or run_day("start_date"), plus_days) }}
{%- endmacro %}

{% macro known_rebuilt_days(column) -%}
    {{ column }} between {{ known_start_day() }} and {{ end_day() }}
{%- endmacro %}

{#
  First arrival day of what happened since `days` days before the run's first day: the slack is for events that
  are ahead of their arrival.
#}
{% macro first_arrival_day(days) -%}
    {{
        return(
            latest_of(
                var("history_start_date"),
                moved_day(run_day("start_date"), -days - var("arrival_slack_days")),
            )
        )
    }}
{%- endmacro %}

{#
  Filters of the scans of raw. Of a feed that says what happened a model reads the arrivals of a window that it
  names: those that a run builds a history table from, or those of so many days before the run.
#}
{% macro arrived_from(day) -%} arrival_date between date '{{ day }}' and {{ as_of_day() }} {%- endmacro %}

{% macro arrived_within(days) -%} {{ arrived_from(first_arrival_day(days)) }} {%- endmacro %}

{# Of a feed that says what holds until another row says otherwise, all that was known at the as-of day. #}
{% macro arrived_ever() -%} {{ arrived_from(var("history_start_date")) }} {%- endmacro %}

{# Whether a dated row (an account's version, a rate, a price) is the one of the day. #}
{% macro valid_on(row, day) -%}
    {{ day }} >= {{ row }}.valid_from_date and {{ day }} < {{ row }}.valid_to_date
{%- endmacro %}

{#
  First day on which a row is known, beside `first_arrival`, the day on which its feed began (of what happens to
  accounts, int_first_arrival): what arrived first of all speaks for the days before it.
#}
{% macro known_from(row, arrival="arrival_date") -%}
    if(
        {{ row }}.{{ arrival }} <= first_arrival.first_arrival_date,
        date '0001-01-01',
        {{ row }}.{{ arrival }}
    )
{%- endmacro %}

{# First day on which a row counts: its own day, or that on which it is known, whichever is later. #}
{% macro counts_from(day, row) -%} greatest({{ day }}, {{ known_from(row) }}) {%- endmacro %}

{# The day on which the next row of the same key takes over, which is the first that this row does not hold. #}
{% macro until_next(day, key) -%}
    coalesce(lead({{ day }}) over (partition by {{ key }} order by {{ day }}), date '9999-12-31')
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

{#
  ARRAY of the days in [first, last] of which some part lies in [from_at, ends_at): an end exactly at midnight leaves
  no part of that day.
#}
{% macro touched_days(from_at, ends_at, first, last) -%}
    generate_date_array(
        greatest(date({{ from_at }}), {{ first }}),
        least(date(timestamp_sub({{ ends_at }}, interval 1 microsecond)), {{ last }})
    )
{%- endmacro %}
