{#
  The beginning and the end of int_subscription_lives: from which events a life is told, and where in what they mean
  a period begins.
#}
{#
  CTEs, the last of which is `delivered`: of each life that is written down the events that were known on its
  known_date, and why it is (CTE `touched`).
#}
{% macro heard_event_ctes() -%}
    reported as ({{ canonical_events() }}),

    withdrawn as ({{ withdrawals("reported") }}),

    known_events as (
        select {{ event_columns() }}
        from reported
        union all
        select {{ event_columns() }}
        from withdrawn
    ),

    -- The days on which a life is written down: those on which its events arrived, …
    arrivals as (
        select distinct subscription_id, arrival_date as known_date
        from known_events
        where arrival_date between date '{{ lives_from_day() }}' and {{ as_of_day() }}
    ),

    -- … the checkpoint, …
    checkpoint as (
        select distinct subscription_id, date '{{ checkpoint_day() }}' as known_date
        from known_events
        where
            arrival_date <= date '{{ checkpoint_day() }}'
            and date '{{ versions_from_day() }}' = date '{{ checkpoint_day() }}'
    ),

    -- … and for lives that arrivals after the run's first day touch, that day, which must not know them.
    run_start as (
        select distinct event.subscription_id, {{ known_start_day() }} as known_date
        from known_events as event
        inner join arrivals as restating on event.subscription_id = restating.subscription_id
        where event.arrival_date <= {{ known_start_day() }} and restating.known_date > {{ known_start_day() }}
    ),

    {%- set skipped = skipped_checkpoints() %}
    {%- if skipped %}
        -- … and those checkpoints on which nobody wrote down what was known of the time that they tell.
        skipped_checkpoint as (
            select distinct subscription_id, {{ told_on("date(occurred_at)") }} as known_date
            from known_events
            where
                {{ told_on("date(occurred_at)") }}
                between date '{{ skipped | first }}' and date '{{ skipped | last }}'
                and arrival_date <= {{ told_on("date(occurred_at)") }}
        ),
    {%- endif %}

    touched as (
        select
            subscription_id,
            known_date,
            logical_or(reason = 'arrival') as is_touched_by_arrival,
            logical_or(reason = 'checkpoint') as is_checkpoint,
            logical_or(reason = 'run_start') as is_run_start,
            logical_or(reason = 'skipped_checkpoint') as is_skipped_checkpoint
        from
            (
                select *, 'arrival' as reason
                from arrivals
                union all
                select *, 'checkpoint'
                from checkpoint
                union all
                select *, 'run_start'
                from run_start
                {%- if skipped %}
                    union all
                    select *, 'skipped_checkpoint'
                    from skipped_checkpoint
                {%- endif %}
            )
        group by subscription_id, known_date
    ),

    heard as (
        select touched.known_date, event.*
        from touched
        inner join
            known_events as event
            on touched.subscription_id = event.subscription_id
            and event.arrival_date <= touched.known_date
    ),

    held as ({{ held_events("heard", "known_date, subscription_id", "known_date, ") }}),

    -- A notification belongs to one subscription; of its deliveries the first counts.
    told_once as (
        select *
        from held
        where true
        qualify
            row_number() over (
                partition by known_date, provider, provider_event_id
                order by ingested_at, landing_file, landing_row
            )
            = 1
    ),

    delivered as ({{ linked_exports("told_once") }})
{%- endmacro %}

{#
  CTEs `periods`, which begin where anything of the CTE `decided` changes, and `period_ends`: the ends of what is paid
  for that were told in each. `life` is the window of a life's instants.
#}
{% macro period_ctes(life) -%}
    compared as (
        select
            *,
            lag(state) over life as state_before,
            lag(is_auto_renew) over life as was_auto_renew,
            -- What never was to renew, a prepaid plan, is not cancelled.
            if(
                not is_auto_renew
                and lag(occurred_at) over life is not null
                and coalesce(lag(is_auto_renew) over life, true),
                occurred_at,
                null
            ) as switched_off_at,
            nullif(paid_until_at, {{ until_further_notice() }}) as period_ends_at,
            lag(nullif(paid_until_at, {{ until_further_notice() }})) over life
            is distinct from nullif(paid_until_at, {{ until_further_notice() }}) as is_other_end,
            lag(state) over life is distinct from state
            or lag(is_paid) over life is distinct from is_paid
            or lag(account_id) over life is distinct from account_id
            or lag(plan_id) over life is distinct from plan_id
            or lag(price_amount) over life is distinct from price_amount
            or lag(is_price_unknown) over life is distinct from is_price_unknown
            or lag(currency) over life is distinct from currency
            or lag(billing_interval) over life is distinct from billing_interval
            or lag(billing_interval_count) over life is distinct from billing_interval_count
            or lag(is_auto_renew) over life is distinct from is_auto_renew as is_change
        from decided
        window life as ({{ life }})
    ),

    numbered as (
        select
            *,
            last_value(switched_off_at ignore nulls) over so_far as last_switched_off_at,
            sum(if(is_change or is_conflicting_opening, 1, 0)) over so_far as period_number
        from compared
        window so_far as ({{ life }} rows between unbounded preceding and current row)
    ),

    -- Renewals put the end of what is paid off and begin no period.
    period_ends as (
        select
            known_date,
            subscription_id,
            period_number,
            array_agg(
                struct(occurred_at as told_at, period_ends_at as ends_at) order by occurred_at
            ) as period_ends
        from numbered
        where is_change or is_conflicting_opening or is_other_end
        group by known_date, subscription_id, period_number
    ),

    periods as (
        select *, lead(occurred_at) over ({{ life }}) as valid_to_at
        from numbered
        where is_change or is_conflicting_opening
    )
{%- endmacro %}
