{#
  A billing export that arrives as one (its rows say what it covers) is a statement about the subscriptions that it
  names: of what has arrived the newest one counts, and what earlier ones said of the same subscription does no
  more. A rolling export names the latest periods alone; what had ended when the first of them begins stays as
  earlier ones told it.
#}
{# When the period of an event ends, null while it is open. #}
{% macro period_ends_at() -%}
    coalesce(period_end_at, if(event_type = 'expired', occurred_at, null))
{%- endmacro %}

{#
  Of `events`, known at the same time by `keys` (subscription_id, …), those that still hold: a query with the
  canonical columns, and `more_columns` before them.
#}
{% macro held_events(events, keys, more_columns="") -%}
    select {{ more_columns }}{{ event_columns() }}
    from
        (
            select
                *,
                -- Exports that arrived later speak of the subscription from here on.
                min(speaks_from_at) over (
                    partition by {{ keys }}, provider
                    order by unix_date(arrival_date) desc
                    range between unbounded preceding and 1 preceding
                ) as replaced_from_at,
                max(if(export_covers is not null and event_type != 'expired', arrival_date, null)) over (
                    partition by {{ keys }}, provider, occurred_at
                ) as taken_up_date
            from
                (
                    select
                        *,
                        case
                            when export_covers = 'rolling'
                            then
                                min(if(export_covers is null, null, occurred_at)) over (
                                    partition by {{ keys }}, provider, arrival_date
                                )
                            when export_covers is not null
                            then timestamp '0001-01-01'
                        end as speaks_from_at
                    from {{ events }}
                )
        )
    where
        replaced_from_at is null
        or (
            {{ period_ends_at() }} <= replaced_from_at
            -- Where a later export begins a period, the one before it has not ended.
            and (event_type != 'expired' or coalesce(taken_up_date <= arrival_date, true))
        )
{%- endmacro %}

{# What an event says in a column, of which only some say anything: expressions by name. #}
{% macro event_value(said, name) -%}
    {%- set types = {
        "price_amount": "numeric(38, 9)",
        "is_price_unknown": "bool",
        "billing_interval_count": "int64",
        "trial_ends_at": "timestamp",
        "period_start_at": "timestamp",
        "period_end_at": "timestamp",
        "is_auto_renew": "bool",
        "ingested_at": "timestamp",
        "arrival_date": "date",
        "landing_row": "int64",
    } -%}
    {{- said[name] if name in said else "cast(null as " ~ types.get(name, "string") ~ ")" -}}
{%- endmacro %}

{# All of its canonical columns. #}
{% macro event_row(said) -%}
    {%- for column in event_columns().split(",") %}
        {{ event_value(said, column | trim) }} as {{ column | trim }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#
  A row of event_type withdrawn for each subscription of `events` that a complete export no longer names, on the
  day on which that export arrived; a query with the canonical columns.
#}
{% macro withdrawals(events) -%}
    {%- set withdrawal = {
        "provider": "'periods'",
        "provider_event_id": "concat('withdrawn:', subscription_id, ':', cast(complete_date as string))",
        "subscription_id": "subscription_id",
        "account_id": "account_id",
        "event_type": "'withdrawn'",
        "occurred_at": "timestamp(complete_date)",
        "ingested_at": "timestamp(complete_date)",
        "arrival_date": "complete_date",
        "landing_file": "'withdrawn'",
        "landing_row": "0",
        "export_name": "export_name",
        "export_covers": "'complete'",
    } -%}
    select {{ event_row(withdrawal) }}
    from
        (
            select
                subscription_id,
                account_id,
                export_name,
                -- The next complete export, and the next one that names the subscription.
                min(if(export_covers = 'complete', arrival_date, null)) over (
                    partition by export_name
                    order by unix_date(arrival_date)
                    range between 1 following and unbounded following
                ) as complete_date,
                lead(arrival_date) over (
                    partition by export_name, subscription_id order by arrival_date
                ) as next_named_date
            from
                (
                    select
                        subscription_id,
                        export_name,
                        arrival_date,
                        export_covers,
                        max(account_id) as account_id
                    from {{ events }}
                    where export_covers is not null
                    group by subscription_id, export_name, arrival_date, export_covers
                )
        )
    where complete_date is not null and (next_named_date is null or next_named_date > complete_date)
{%- endmacro %}

{#
  Of `events`, each told once and known on its known_date, the same with those of rolling exports linked to what
  earlier ones told: behind that the first period of an export goes on, changes, converts or comes back, and has
  an end before it where there is a gap that none of them told of; a query with known_date and the canonical
  columns.
#}
{% macro linked_exports(events) -%}
    {%- set gap = {
        "provider": "'periods'",
        "provider_event_id": "'synthetic_expiry'",
        "subscription_id": "subscription_id",
        "account_id": "account_before",
        "event_type": "'expired'",
        "reason": "'missing_at_source'",
        "occurred_at": "ended_before_at",
    } -%}
    select
        known_date,
        {%- for column in event_columns().split(",") %}
            {%- set name = column | trim %}
            {%- set told = "coalesce(linked_event_type, event_type)" if name == "event_type" else name %}
            if(is_gap, {{ event_value(gap, name) }}, {{ told }}) as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from
        (
            select
                *,
                case
                    when not is_seam
                    then null
                    when ended_before_at < occurred_at
                    then if(event_type = 'trial_started', 'trial_started', 'reactivated')
                    when event_type = 'trial_started'
                    then 'plan_changed'
                    when was_trial
                    then 'trial_converted'
                    when has_other_terms
                    then 'plan_changed'
                    else 'renewed'
                end as linked_event_type
            from
                (
                    select
                        *,
                        coalesce(
                            export_covers = 'rolling'
                            and event_type in ('trial_started', 'started')
                            and lag(arrival_date) over life < arrival_date
                            and lag({{ period_ends_at() }}) over life <= occurred_at,
                            false
                        ) as is_seam,
                        lag(event_type) over life as event_type_before,
                        lag({{ period_ends_at() }}) over life as ended_before_at,
                        lag(account_id) over life as account_before,
                        lag(trial_ends_at is not null) over life as was_trial,
                        lag(plan_id) over life is distinct from plan_id
                        or lag(price_amount) over life is distinct from price_amount
                        or lag(is_price_unknown) over life is distinct from is_price_unknown
                        or lag(currency) over life is distinct from currency as has_other_terms
                    from (select *, {{ event_rank("event_type") }} as event_rank from {{ events }})
                    window
                        life as (
                            partition by known_date, subscription_id, provider
                            order by occurred_at, event_rank
                        )
                )
        )
    cross join
        unnest(
            if(
                is_seam and ended_before_at < occurred_at and event_type_before != 'expired',
                [false, true],
                [false]
            )
        ) as is_gap
{%- endmacro %}
