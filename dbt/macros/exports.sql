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
    from {{ events }}
    where provider != 'periods'
    union all
    select {{ more_columns }}{{ event_columns() }}
    from
        (
            select
                *,
                -- Exports that arrived later speak of the subscription from here on.
                min(speaks_from_at) over (
                    partition by {{ keys }}
                    order by unix_date(arrival_date) desc
                    range between unbounded preceding and 1 preceding
                ) as replaced_from_at,
                max(if(export_covers is not null and event_type != 'expired', arrival_date, null)) over (
                    partition by {{ keys }}, occurred_at
                ) as taken_up_date
            from
                (
                    select
                        *,
                        case
                            when export_covers = 'rolling'
                            then
                                min(if(export_covers is null, null, occurred_at)) over (
                                    partition by {{ keys }}, arrival_date
                                )
                            when export_covers is not null
                            then timestamp '0001-01-01'
                        end as speaks_from_at
                    from {{ events }}
                    where provider = 'periods'
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

{# The canonical columns of an event of which only some say anything: expressions by name. #}
{% macro event_row(said) -%}
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
    {%- for column in event_columns().split(",") %}
        {%- set name = column | trim %}
        {{ said[name] if name in said else "cast(null as " ~ types.get(name, "string") ~ ")" }} as {{ name }}
        {{- "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#
  A row of event_type withdrawn for each subscription of `events` that a complete export no longer names, on the
  day on which that export arrived; a query with the canonical columns.
#}
{% macro withdrawals(events) -%}
    {%- set withdrawal = {
        "provider": "'periods'",
        "provider_event_id": "concat('withdrawn:', named.subscription_id, ':', cast(complete_date as string))",
        "subscription_id": "named.subscription_id",
        "account_id": "named.account_id",
        "event_type": "'withdrawn'",
        "occurred_at": "timestamp(complete_date)",
        "ingested_at": "timestamp(complete_date)",
        "arrival_date": "complete_date",
        "landing_file": "'withdrawn'",
        "landing_row": "0",
        "export_name": "named.export_name",
        "export_covers": "'complete'",
    } -%}
    with
        named as (
            select subscription_id, export_name, arrival_date, max(account_id) as account_id
            from {{ events }}
            where export_covers is not null
            group by subscription_id, export_name, arrival_date
        ),

        export_days as (
            select export_name, arrival_date, logical_or(export_covers = 'complete') as is_complete
            from {{ events }}
            where export_covers is not null
            group by export_name, arrival_date
        ),

        next_complete as (
            select
                export_name,
                arrival_date,
                min(if(is_complete, arrival_date, null)) over (
                    partition by export_name
                    order by arrival_date
                    rows between 1 following and unbounded following
                ) as complete_date
            from export_days
        )

    select {{ event_row(withdrawal) }}
    from named
    inner join next_complete using (export_name, arrival_date)
    left join
        named as still_named
        on named.subscription_id = still_named.subscription_id
        and named.export_name = still_named.export_name
        and next_complete.complete_date = still_named.arrival_date
    where next_complete.complete_date is not null and still_named.subscription_id is null
{%- endmacro %}
