{{
    config(
        partition_by={"field": "trial_start_date", "data_type": "date", "granularity": "day"},
        cluster_by=["market", "plan_kind"],
        meta={
            "published": "days",
            "restates_days": var("trial_conversion_days"),
            "measures": ["started", "converted"],
        },
    )
}}

with
    lives as (
        select
            subscription_id,
            account_id,
            provider,
            plan_id,
            state,
            valid_from_at,
            lag(state) over (partition by subscription_id order by valid_from_at) as state_before
        from {{ ref("int_subscription_periods") }}
    ),

    -- A trial begins where the life enters it and ends where it enters anything else.
    turns as (
        select *, lead(valid_from_at) over (partition by subscription_id order by valid_from_at) as turns_at
        from lives
        where state is distinct from state_before and (state = 'trial' or state_before = 'trial')
    ),

    trials as (
        select
            turn.subscription_id,
            turn.provider,
            turn.valid_from_at as started_at,
            coalesce(turn.turns_at, timestamp '9999-12-31') as ended_at,
            date(turn.valid_from_at) as trial_start_date,
            coalesce(account.resolved_market, 'ZZ') as market,
            plan.plan_kind
        from turns as turn
        left join
            {{ ref("int_account_versions") }} as account
            on turn.account_id = account.account_id
            and {{ valid_on("account", "date(turn.valid_from_at)") }}
        left join {{ ref("stg_billing__plans") }} as plan on turn.plan_id = plan.plan_id
        where
            turn.state = 'trial'
            and not coalesce(account.is_resolved_test_account, false)
            and {{ rebuilt_days("date(turn.valid_from_at)", var("trial_conversion_days")) }}
    ),

    charges as (
        select payment_id, subscription_id, occurred_at, payment_amount
        from {{ ref("stg_billing__payments") }}
        where
            payment_kind = 'charge'
            and payment_status = 'succeeded'
            and payment_amount > 0
            and occurred_at < timestamp({{ as_of_day(1) }})
    ),

    refunds as (
        select charge.payment_id, sum(refund.payment_amount) as refunded_amount
        from charges as charge
        inner join
            {{ ref("stg_billing__payments") }} as refund on charge.payment_id = refund.refunded_payment_id
        where
            refund.payment_kind = 'refund'
            and refund.payment_status = 'succeeded'
            and refund.occurred_at < timestamp_add(charge.occurred_at, interval {{ var("refund_days") }} day)
            and refund.occurred_at < timestamp({{ as_of_day(1) }})
        group by charge.payment_id
    ),

    kept_charges as (
        select charge.subscription_id, charge.occurred_at
        from charges as charge
        left join refunds as refund on charge.payment_id = refund.payment_id
        where coalesce(refund.refunded_amount, 0) < charge.payment_amount
    ),

    conversions as (
        select trial.subscription_id, trial.started_at, min(charge.occurred_at) as converted_at
        from trials as trial
        inner join
            kept_charges as charge
            on trial.subscription_id = charge.subscription_id
            and charge.occurred_at >= trial.started_at
            and charge.occurred_at
            < timestamp_add(trial.started_at, interval {{ var("trial_conversion_days") }} day)
        group by trial.subscription_id, trial.started_at
    ),

    outcomes as (
        select
            trial.*,
            timestamp_add(
                least(trial.ended_at, timestamp '9999-01-01'), interval {{ var("refund_days") }} day
            )
            <= timestamp({{ as_of_day(1) }}) as is_mature,
            conversion.converted_at is not null as is_converted
        from trials as trial
        left join
            conversions as conversion
            on trial.subscription_id = conversion.subscription_id
            and trial.started_at = conversion.started_at
    )

select
    trial_start_date,
    market,
    plan_kind,
    provider,
    cast(count(*) as int64) as started,
    cast(countif(is_converted) as int64) as converted,
    cast(countif(not is_converted and not is_mature) as int64) as pending,
    cast(countif(not is_converted and is_mature) as int64) as abandoned,
    cast(countif(is_mature) as int64) as mature_started,
    cast(countif(is_mature and is_converted) as int64) as mature_converted
from outcomes
group by trial_start_date, market, plan_kind, provider
