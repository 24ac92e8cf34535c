{#
  History tables keep by arrival day what a run must know of all days before it: the canonical events and the
  versions of subscription lives, and which offers an account was shown. Their partitions are pure functions of
  the raw rows that had arrived by then, so a run builds only those that are missing or that a later landing has
  changed, and reads the others as published.
#}
{# First partition of a history table that this run builds; a day after the as-of day: none. #}
{% macro history_from(model) -%}
    {{ return(var("history_from").get(model, var("history_start_date"))) }}
{%- endmacro %}

{#
  The first of the as-of day's month: its partitions hold everything, the following ones only what arrived on
  their days. Reading what is known now takes the month's partitions, however long the history is.
#}
{% macro checkpoint_day() -%}
    {{ return(latest_of(run_day("as_of_date")[:8] ~ "01", var("history_start_date"))) }}
{%- endmacro %}

{# First partition of the version log that this run builds. #}
{% macro versions_from_day() -%}
    {{ return(latest_of(checkpoint_day(), history_from("int_subscription_versions"))) }}
{%- endmacro %}

{# First day as known on which a run writes lives down: for the log, or for days that must not know later ones. #}
{% macro lives_from_day() -%}
    {{ return(earliest_of(versions_from_day(), moved_day(run_day("start_date"), 1))) }}
{%- endmacro %}

{#
  Rows of a history table with `day_column` in [first, last], by default up to the as-of day: the published
  partitions before the first one that this run builds, and those that it builds. Parsed, it reads both, so that
  what a model depends on does not depend on the run.
#}
{% macro history_rows(model, day_column, first, last=none, columns="*") -%}
    {%- set built_from = history_from(model) -%}
    {%- set last = last or run_day("as_of_date") -%}
    {%- set last_published = earliest_of(moved_day(built_from, -1), last) -%}
    select {{ columns }}
    from {{ ref(model) }}
    where {{ day_column }} between date '{{ latest_of(first, built_from) }}' and date '{{ last }}'
    {%- if not execute or last_published >= first | string %}
        union all
        select {{ columns }}
        from {{ source("history", model) }}
        where {{ day_column }} between date '{{ first }}' and date '{{ last_published }}'
    {%- endif -%}
{%- endmacro %}

{#
  Canonical events that were known at the as-of day, redeliveries included: all of them, or with `within_days`
  the arrivals since so many days before the run's first day.
#}
{% macro canonical_events(within_days=none, columns=none) -%}
    {%- set first = var("history_start_date") if within_days is none else first_arrival_day(within_days) -%}
    {{ history_rows("int_subscription_events", "arrival_date", first, columns=columns or event_columns()) }}
{%- endmacro %}

{# Names of the columns that a canonical event has; of a provider that makes no exports, those have nothing. #}
{% macro event_columns(has_exports=true) -%}
    provider,
    provider_event_id,
    subscription_id,
    account_id,
    event_type,
    plan_id,
    price_amount,
    is_price_unknown,
    currency,
    billing_interval,
    billing_interval_count,
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
    landing_row,
    {{ "export_name" if has_exports else "cast(null as string) as export_name" }},
    {{ "export_covers" if has_exports else "cast(null as string) as export_covers" }}
{%- endmacro %}

{# Names of the columns of a version of a life: by name, since a published table has new ones last. #}
{% macro life_columns() -%}
    subscription_id,
    account_id,
    provider,
    provider_event_id,
    event_type,
    origin,
    state,
    is_entitled,
    plan_id,
    price_amount,
    is_price_unknown,
    currency,
    billing_interval,
    billing_interval_count,
    is_auto_renew,
    reason,
    end_reason,
    offer_id,
    valid_from_at,
    valid_to_at,
    is_conflicting_opening,
    subscription_started_at,
    first_paid_at,
    is_paid,
    cancelled_at,
    period_ends
{%- endmacro %}
