{#
  Checkpoints of journeys: the first of each month tells how far they were so many days before, and goes on from the
  first of the month before, so that it reads what was shown in a month.
#}
{# What the two tables of a checkpoint have in common. #}
{% macro journey_checkpoint() -%}
    {{
        return(
            {
                "materialized": "table",
                "partition_by": {"field": "known_date", "data_type": "date", "granularity": "day"},
                "cluster_by": ["account_id"],
                "contract": {"enforced": true},
                "meta": {
                    "published": "arrivals",
                    "partitions": "checkpoint",
                    "goes_on": true,
                    "feeds_until_day": [
                        "offer_impressions",
                        "offer_clicks",
                        "accounts",
                        "provider_accounts",
                        "subscription_events",
                        "google_play_notifications",
                        "app_store_notifications",
                        "stripe_events",
                        "plans",
                    ],
                },
            }
        )
    }}
{%- endmacro %}

{#
  The instant before which the checkpoint of a month, by default the as-of day's, tells the journeys. What happened
  since is read by every run of the month, those included that late events take back before the month.
#}
{% macro journey_cut_day(checkpoint=none) -%}
    {{ return(moved_day(checkpoint or checkpoint_day(), -var("journey_checkpoint_days"))) }}
{%- endmacro %}

{# The first of the month that follows an ISO date. #}
{% macro next_month(day) -%} {{ return(moved_day(day[:8] ~ "28", 4)[:8] ~ "01") }} {%- endmacro %}

{#
  The checkpoint that tells what had happened when the history began, or before. Those until then know only what had
  arrived by them; each later one goes on from the one before.
#}
{% macro first_going_on() -%}
    {{ return(next_month(moved_day(var("history_start_date"), var("journey_checkpoint_days")))) }}
{%- endmacro %}

{#
  The checkpoint that tells of a day: what is known by it is in it and in all that follow, what is learned later is
  in none.
#}
{% macro told_on(day) -%}
    date_add(
        date_trunc(
            date_add(
                greatest({{ day }}, date '{{ var("history_start_date") }}'),
                interval {{ var("journey_checkpoint_days") }} day
            ),
            month
        ),
        interval 1 month
    )
{%- endmacro %}

{# Whether the run rebuilds no journey that was opened before the cut; else it tells all of them anew. #}
{% macro is_cut_read() -%}
    {{ return(moved_day(run_day("start_date"), -var("journey_horizon_days")) >= journey_cut_day()) }}
{%- endmacro %}

{# The instant since which a run tells journeys from what was shown. #}
{% macro journeys_since() -%}
    timestamp '{{ journey_cut_day() if is_cut_read() else "0001-01-01" }}'
{%- endmacro %}

{#
  How long before the cut the checkpoint tells which journeys converted: of a run that reads the cut the first trial
  that it restates began so long before it.
#}
{% macro converted_reach_days() -%}
    {{ return([var("trial_conversion_days") - var("journey_horizon_days"), 0] | max) }}
{%- endmacro %}

{# Whether the run builds the checkpoint of the as-of day's month. #}
{% macro is_journey_checkpoint_built() -%}
    {{ return(history_from("int_offer_journey_states") | string <= checkpoint_day()) }}
{%- endmacro %}

{#
  The published checkpoint that the run's goes on from; none when it builds none, or none is there that is as the
  present code and raw make it.
#}
{% macro journey_base_day() -%}
    {%- set base = var("goes_on_from") | string -%}
    {{ return(base if is_journey_checkpoint_built() and base >= first_going_on() else none) }}
{%- endmacro %}

{# The instant since which the checkpoint tells journeys from what was shown. #}
{% macro checkpoint_since() -%}
    timestamp '{{ journey_cut_day(journey_base_day()) if journey_base_day() else "0001-01-01" }}'
{%- endmacro %}

{#
  The checkpoints between the one that the run's goes on from and its own. They are not written down; what they would
  have known of the time that they tell is all that its own may know of it.
#}
{% macro skipped_checkpoints() -%}
    {%- set skipped = [] -%}
    {%- if is_journey_checkpoint_built() -%}
        {%- set first = next_month(journey_base_day()) if journey_base_day() else first_going_on() -%}
        {%- set last = checkpoint_day() -%}
        {%- set next = namespace(day=first) -%}
        {%- for _ in range(
            (last[:4] | int - first[:4] | int) * 12 + last[5:7] | int - first[5:7] | int + 1
        ) -%}
            {%- if next.day < last -%} {%- do skipped.append(next.day) -%} {%- endif -%}
            {%- set next.day = next_month(next.day) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(skipped) }}
{%- endmacro %}

{# First partition of a checkpoint that is read, or a day after it, from which on there is none. #}
{% macro checkpoint_from(is_read) -%}
    {{ return(checkpoint_day() if is_read else moved_day(checkpoint_day(), 1)) }}
{%- endmacro %}

{# Rows of the checkpoint that the run's goes on from; `columns` are names and types, `model` a history table. #}
{% macro rows_before_checkpoint(model, columns) -%}
    {%- if not execute or journey_base_day() -%}
        select {{ columns | join(", ") }}
        from {{ source("history", model) }}
        where known_date = date '{{ journey_base_day() or checkpoint_day() }}'
    {%- else -%}
        select
            {% for name, kind in columns.items() -%}
                cast(null as {{ kind }}) as {{ name }}{{ "," if not loop.last }}
            {% endfor -%}
        from (select 1 as nothing)
        where false
    {%- endif -%}
{%- endmacro %}

{# The columns of int_offer_journey_states that later journeys need. #}
{% macro journey_state_columns() -%}
    {{
        return(
            {
                "account_id": "string",
                "offer_id": "string",
                "journeys": "int64",
                "opened_at": "timestamp",
                "last_touch_at": "timestamp",
                "last_touch_rule_id": "string",
                "last_touch_rule_version": "int64",
            }
        )
    }}
{%- endmacro %}

{# Until when the checkpoint knows accounts: a day on which there were none, unless the run builds it. #}
{% macro checkpoint_accounts_until() -%}
    {{
        day_literal(
            checkpoint_day() if is_journey_checkpoint_built() else moved_day(var("history_start_date"), -1)
        )
    }}
{%- endmacro %}

{# First arrival day of touches since a cut: a click after it may be on an impression before it, a window at most. #}
{% macro touches_since_day(cut) -%}
    {{
        return(
            latest_of(
                var("history_start_date"),
                moved_day(cut, -var("attribution_days") - var("arrival_slack_days")),
            )
        )
    }}
{%- endmacro %}

{# First arrival day of the impressions, clicks and checkouts that a run looks at. #}
{% macro touches_from_day() -%}
    {{ return(touches_since_day(journey_cut_day()) if is_cut_read() else var("history_start_date")) }}
{%- endmacro %}

{# What had arrived by the checkpoint, and is told by it and none before; nothing unless the run builds it. #}
{% macro arrived_by_checkpoint() -%}
    {%- if not is_journey_checkpoint_built() -%} {%- set first = moved_day(checkpoint_day(), 1) -%}
    {%- elif journey_base_day() -%} {%- set first = touches_since_day(journey_cut_day(journey_base_day())) -%}
    {%- else -%} {%- set first = var("history_start_date") -%}
    {%- endif -%}
    arrival_date between date '{{ first }}' and date '{{ checkpoint_day() }}'
{%- endmacro %}
