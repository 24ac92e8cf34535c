{{ config(cluster_by=["subscription_id"]) }}

with
    events as (
        select
            *,
            -- Events of one instant have an order of their own; see the model's description.
            case
                event_type
                when 'trial_started'
                then 1
                when 'started'
                then 2
                when 'reactivated'
                then 3
                when 'trial_converted'
                then 4
                when 'renewed'
                then 5
                when 'plan_changed'
                then 6
                when 'auto_renew_off'
                then 7
                when 'auto_renew_on'
                then 8
                when 'billing_retry_started'
                then 9
                when 'grace_started'
                then 10
                when 'recovered'
                then 11
                when 'paused'
                then 12
                when 'resumed'
                then 13
                when 'refunded'
                then 14
                when 'revoked'
                then 15
                when 'expired'
                then 16
            end as event_rank,
            event_type in ('trial_started', 'started', 'reactivated') as is_opening,
            -- Null: the event leaves the state as it is.
            case
                when event_type = 'trial_started'
                then 'trial'
                when
                    event_type
                    in ('trial_converted', 'started', 'renewed', 'recovered', 'resumed', 'reactivated')
                then 'active'
                when event_type = 'grace_started'
                then 'grace'
                when event_type = 'billing_retry_started'
                then 'billing_retry'
                when event_type = 'paused'
                then 'paused'
                when event_type in ('expired', 'revoked')
                then 'ended'
            end as entered_state
        from {{ ref("stg_billing__subscription_events") }}
    ),

    -- What an event does not say stays as it was.
    carried as (
        select
            subscription_id,
            provider,
            provider_event_id,
            event_type,
            event_rank,
            is_opening,
            reason,
            offer_id,
            account_id,
            occurred_at,
            last_value(entered_state ignore nulls) over life as state,
            last_value(plan_id ignore nulls) over life as plan_id,
            last_value(price_amount ignore nulls) over life as price_amount,
            last_value(currency ignore nulls) over life as currency,
            last_value(billing_interval ignore nulls) over life as billing_interval,
            last_value(is_auto_renew ignore nulls) over life as is_auto_renew
        from events
        window
            life as (
                partition by subscription_id
                order by occurred_at, event_rank, provider_event_id, provider
                rows between unbounded preceding and current row
            )
    ),

    -- An opening while the subscription is entitled means that two feeds claim one period.
    checked as (
        select
            *,
            is_opening
            and coalesce(lag(state) over life in ('trial', 'active', 'grace'), false) as is_conflict
        from carried
        window
            life as (
                partition by subscription_id order by occurred_at, event_rank, provider_event_id, provider
            )
    ),

    -- Of the events of one instant the last one decides; a conflict among them is not forgotten.
    instants as (
        select
            *,
            max(if(is_conflict, 1, 0)) over (partition by subscription_id, occurred_at)
            = 1 as is_conflicting_opening
        from checked
        where state is not null
        qualify
            row_number() over (
                partition by subscription_id, occurred_at
                order by event_rank desc, provider_event_id desc, provider desc
            )
            = 1
    ),

    compared as (
        select
            *,
            lag(state) over life is distinct from state
            or lag(account_id) over life is distinct from account_id
            or lag(plan_id) over life is distinct from plan_id
            or lag(price_amount) over life is distinct from price_amount
            or lag(currency) over life is distinct from currency
            or lag(billing_interval) over life is distinct from billing_interval
            or lag(is_auto_renew) over life is distinct from is_auto_renew as is_change
        from instants
        window life as (partition by subscription_id order by occurred_at)
    ),

    periods as (
        select
            subscription_id,
            account_id,
            provider,
            provider_event_id,
            event_type,
            state,
            state in ('trial', 'active', 'grace') as is_entitled,
            plan_id,
            price_amount,
            currency,
            billing_interval,
            is_auto_renew,
            reason,
            offer_id,
            occurred_at as valid_from_at,
            lead(occurred_at) over (partition by subscription_id order by occurred_at) as valid_to_at,
            is_conflicting_opening
        from compared
        where is_change or is_conflicting_opening
    )

select
    *,
    min(if(is_entitled, valid_from_at, null)) over (partition by subscription_id) as subscription_started_at,
    min(if(state in ('active', 'grace'), valid_from_at, null)) over (
        partition by subscription_id
    ) as first_paid_at
from periods
