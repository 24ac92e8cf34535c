{{
    config(
        partition_by={"field": "known_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

{%- set life = "partition by subscription_id, known_date order by occurred_at, event_rank, " ~ (
    "provider_event_id, provider"
) %}

with
    known_events as ({{ canonical_events() }}),

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

    touched as (
        select
            subscription_id,
            known_date,
            logical_or(reason = 'arrival') as is_touched_by_arrival,
            logical_or(reason = 'checkpoint') as is_checkpoint,
            logical_or(reason = 'run_start') as is_run_start
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
            )
        group by subscription_id, known_date
    ),

    -- A notification belongs to one subscription; of its deliveries the first counts.
    delivered as (
        select touched.known_date, event.*
        from touched
        inner join
            known_events as event
            on touched.subscription_id = event.subscription_id
            and event.arrival_date <= touched.known_date
        where true
        qualify
            row_number() over (
                partition by touched.known_date, event.provider, event.provider_event_id
                order by event.ingested_at, event.landing_file, event.landing_row
            )
            = 1
    ),

    typed as (
        select
            known_date,
            subscription_id,
            account_id,
            provider,
            provider_event_id,
            event_type,
            {{ event_rank("event_type") }} as event_rank,
            {{ entered_state("event_type") }} as entered_state,
            'original' as origin,
            plan_id,
            price_amount,
            currency,
            billing_interval,
            billing_interval_count,
            is_auto_renew,
            coalesce(period_end_at, trial_ends_at) as paid_until_at,
            reason,
            offer_id,
            period_start_at,
            occurred_at
        from delivered
    ),

    -- The start is missing at the source when the first thing heard of a life is something else.
    missing_starts as (select * from typed where true qualify row_number() over ({{ life }}) = 1),

    with_starts as (
        select *
        from typed
        union all
        select
            known_date,
            subscription_id,
            account_id,
            provider,
            'synthetic_start',
            'started',
            {{ event_rank("'started'") }},
            'active',
            'synthetic_start',
            plan_id,
            price_amount,
            currency,
            billing_interval,
            billing_interval_count,
            cast(null as bool),
            paid_until_at,
            'missing_at_source',
            offer_id,
            period_start_at,
            period_start_at
        from missing_starts
        where event_type not in ('trial_started', 'started', 'reactivated') and period_start_at < occurred_at
    ),

    -- What an event does not say stays as it was.
    carried as (
        select
            known_date,
            subscription_id,
            provider,
            provider_event_id,
            event_type,
            event_rank,
            entered_state,
            origin,
            reason,
            offer_id,
            occurred_at,
            last_value(entered_state ignore nulls) over so_far as state,
            last_value(account_id ignore nulls) over so_far as account_id,
            last_value(plan_id ignore nulls) over so_far as plan_id,
            last_value(price_amount ignore nulls) over so_far as price_amount,
            last_value(currency ignore nulls) over so_far as currency,
            last_value(billing_interval ignore nulls) over so_far as billing_interval,
            -- Told with every interval, so that the two always belong together.
            last_value(billing_interval_count ignore nulls) over so_far as billing_interval_count,
            last_value(is_auto_renew ignore nulls) over so_far as is_auto_renew,
            last_value(paid_until_at ignore nulls) over so_far as paid_until_at
        from with_starts
        window so_far as ({{ life }} rows between unbounded preceding and current row)
    ),

    -- Of the events of one instant the last one decides.
    expected as (
        select
            *,
            timestamp_add(
                greatest(paid_until_at, occurred_at),
                interval if(
                    not is_auto_renew and state in ('trial', 'active'), 0, {{ var("renewal_tolerance_days") }}
                ) day
            ) as expected_end_at,
            lead(occurred_at) over (partition by subscription_id, known_date order by occurred_at) as next_at,
            lead(event_type) over (partition by subscription_id, known_date order by occurred_at) as next_type
        from (select * from carried where true qualify {{ decides_instant("known_date") }})
    ),

    -- The end is missing at the source when a paid period passes and nothing follows it.
    with_ends as (
        select * except (state, paid_until_at), state as heard_state
        from carried
        union all
        select
            known_date,
            subscription_id,
            provider,
            'synthetic_expiry',
            'expired',
            {{ event_rank("'expired'") }},
            'ended',
            'synthetic_expiry',
            'missing_at_source',
            cast(null as string),
            expected_end_at,
            account_id,
            plan_id,
            price_amount,
            currency,
            billing_interval,
            billing_interval_count,
            is_auto_renew,
            state
        from expected
        where
            {{ is_entitled("state") }}
            and expected_end_at is not null
            and (next_at is null or next_at > expected_end_at)
            -- An end that comes a little late is the end.
            and not coalesce(
                next_type in ('expired', 'revoked')
                and next_at <= timestamp_add(expected_end_at, interval 24 hour),
                false
            )
    ),

    lived as (
        select * except (heard_state), last_value(entered_state ignore nulls) over so_far as state
        from with_ends
        window so_far as ({{ life }} rows between unbounded preceding and current row)
    ),

    -- A start while the subscription is entitled means that two feeds claim one period. An assumed expiry of
    -- what has ended already says nothing.
    checked as (
        select
            *,
            origin = 'synthetic_expiry'
            and not coalesce({{ is_entitled("lag(state) over life") }}, false) as is_redundant,
            event_type in ('trial_started', 'started')
            and coalesce({{ is_entitled("lag(state) over life") }}, false) as is_conflict
        from lived
        window life as ({{ life }})
    ),

    instants as (
        select
            *,
            max(if(is_conflict, 1, 0)) over (partition by subscription_id, known_date, occurred_at)
            = 1 as is_conflicting_opening
        from checked
        where not is_redundant
        qualify {{ decides_instant("known_date") }}
    ),

    compared as (
        select
            *,
            lag(state) over life as state_before,
            lag(is_auto_renew) over life as was_auto_renew,
            lag(state) over life is distinct from state
            or lag(account_id) over life is distinct from account_id
            or lag(plan_id) over life is distinct from plan_id
            or lag(price_amount) over life is distinct from price_amount
            or lag(currency) over life is distinct from currency
            or lag(billing_interval) over life is distinct from billing_interval
            or lag(billing_interval_count) over life is distinct from billing_interval_count
            or lag(is_auto_renew) over life is distinct from is_auto_renew as is_change
        from instants
        window life as (partition by subscription_id, known_date order by occurred_at)
    ),

    periods as (
        select
            *,
            lead(occurred_at) over (
                partition by subscription_id, known_date order by occurred_at
            ) as valid_to_at
        from compared
        where is_change or is_conflicting_opening
    )

select
    period.known_date,
    period.subscription_id,
    touched.is_touched_by_arrival,
    touched.is_checkpoint,
    touched.is_run_start,
    account_id,
    provider,
    provider_event_id,
    event_type,
    origin,
    state,
    coalesce({{ is_entitled("state") }}, false) as is_entitled,
    plan_id,
    price_amount,
    currency,
    billing_interval,
    billing_interval_count,
    is_auto_renew,
    reason,
    {{ end_reason("event_type", "reason", "state_before", "state", "was_auto_renew") }} as end_reason,
    offer_id,
    occurred_at as valid_from_at,
    valid_to_at,
    is_conflicting_opening,
    min(if({{ is_entitled("state") }}, occurred_at, null)) over (
        partition by period.subscription_id, period.known_date
    ) as subscription_started_at,
    min(if({{ is_paid("state") }}, occurred_at, null)) over (
        partition by period.subscription_id, period.known_date
    ) as first_paid_at
from periods as period
inner join
    touched on period.subscription_id = touched.subscription_id and period.known_date = touched.known_date
