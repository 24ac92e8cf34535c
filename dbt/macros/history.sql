{#
  Two tables keep what is known of every subscription, by arrival day: the canonical events, and the versions
  of each life. Their partitions are pure functions of the raw rows that had arrived by then, so a run builds
  only those that are missing or that a later landing has changed, and reads the others as published.
#}
{#
  The first of the as-of day's month: its partition of the version log holds every subscription, the following
  ones only those that events touched. Reading the current lives takes the month's partitions, however long
  the history is.
#}
{% macro checkpoint_day() -%}
    {{ return(latest_of(run_day("as_of_date")[:8] ~ "01", var("history_start_date"))) }}
{%- endmacro %}

{# First partition of the version log that this run builds. #}
{% macro versions_from_day() -%}
    {{ return(latest_of(checkpoint_day(), var("versions_from_date"))) }}
{%- endmacro %}

{#
  Rows of a history table with `day_column` in [first, as-of day]: the published partitions before
  `built_from`, and those that this run builds.
#}
{% macro history_rows(model, day_column, first, built_from, columns="*") -%}
    {%- set last_published = earliest_of(moved_day(built_from, -1), run_day("as_of_date")) -%}
    {%- set first_built = latest_of(first, built_from) -%}
    select {{ columns }}
    from {{ ref(model) }}
    where {{ day_column }} between date '{{ first_built }}' and {{ as_of_day() }}
    {%- if last_published >= first | string %}
        union all
        select {{ columns }}
        from {{ source("history", model) }}
        where {{ day_column }} between date '{{ first }}' and date '{{ last_published }}'
    {%- endif -%}
{%- endmacro %}

{#
  Canonical events that arrived within the history and were known at the as-of day, redeliveries included;
  with `since_days` only arrivals from that many days before the run's first day on.
#}
{% macro canonical_events(since_days=none, columns="*") -%}
    {{
        history_rows(
            "int_subscription_events",
            "arrival_date",
            first_arrival_day(since_days),
            var("events_from_date"),
            columns,
        )
    }}
{%- endmacro %}

{# Names of the columns that a canonical event has, without its lineage. #}
{% macro event_columns() -%}
    provider,
    provider_event_id,
    subscription_id,
    account_id,
    event_type,
    plan_id,
    price_amount,
    currency,
    billing_interval,
    trial_ends_at,
    period_start_at,
    period_end_at,
    is_auto_renew,
    reason,
    offer_id,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
{%- endmacro %}
