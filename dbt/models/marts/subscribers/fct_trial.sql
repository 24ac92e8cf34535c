{{
    config(
        partition_by={"field": "trial_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id", "subscription_id"],
        meta={
            "published": "days",
            "restates_days": var("trial_conversion_days"),
            "measures": ["trials", "conversions"],
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
            offer_id,
            state,
            is_paid,
            end_reason,
            valid_from_at,
            (
                select told.ends_at from unnest(period_ends) as told order by told.told_at desc limit 1
            ) as term_ends_at,
            lag(state) over (partition by subscription_id order by valid_from_at) as state_before
        from {{ ref("int_subscription_periods") }}
    ),

    -- A state lasts for several periods, of which the last says when it was to end.
    states as (
        select
            *,
            sum(if(state is distinct from state_before, 1, 0)) over (
                partition by subscription_id
                order by valid_from_at
                rows between unbounded preceding and current row
            ) as state_number
        from lives
    ),

    termed as (
        select
            * except (term_ends_at),
            last_value(term_ends_at) over (
                partition by subscription_id, state_number
                order by valid_from_at
                rows between unbounded preceding and unbounded following
            ) as term_ends_at
        from states
    ),

    -- A trial begins where the life enters it and ends where it enters anything else.
    turns as (
        select
            *,
            lead(valid_from_at) over life as turns_at,
            lead(state) over life as state_after,
            lead(is_paid) over life as is_paid_after,
            lead(end_reason) over life as end_reason_after
        from termed
        where state is distinct from state_before and (state = 'trial' or state_before = 'trial')
        window life as (partition by subscription_id order by valid_from_at)
    ),

    trials as (
        select
            turn.subscription_id,
            turn.provider,
            turn.plan_id,
            turn.offer_id,
            turn.valid_from_at as trial_started_at,
            -- The end that is assumed while nothing is heard may lie ahead.
            if(turn.turns_at < timestamp({{ as_of_day(1) }}), turn.turns_at, null) as trial_ended_at,
            -- Whatever became of it before: of trials that began together those that end early would be
            -- counted first, and they are those that nobody pays for.
            greatest(
                coalesce(
                    least(
                        turn.term_ends_at,
                        timestamp_add(
                            turn.valid_from_at,
                            interval {{ var("trial_conversion_days") - var("refund_days") }} day
                        )
                    ),
                    turn.turns_at
                ),
                turn.turns_at
            ) as is_over_at,
            turn.state_after,
            turn.is_paid_after,
            turn.end_reason_after,
            date(turn.valid_from_at) as trial_date,
            coalesce(account.resolved_account_id, turn.account_id) as account_id,
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

    -- Nobody converts by paying nothing.
    charges as (
        select payment_id, subscription_id, occurred_at, counted_cents
        from {{ ref("int_payments") }}
        where
            payment_kind = 'charge'
            and counted_cents > 0
            and payment_date between {{ start_day(-var("trial_conversion_days")) }} and {{ as_of_day() }}
    ),

    -- What failed to come back was kept.
    refunds as (
        select charge.payment_id, - sum(refund.counted_cents) as refunded_cents
        from charges as charge
        inner join {{ ref("int_payments") }} as refund on charge.payment_id = refund.refunded_payment_id
        where
            refund.payment_kind = 'refund'
            and refund.payment_date
            between {{ start_day(-var("trial_conversion_days")) }} and {{ as_of_day() }}
            and refund.occurred_at < timestamp_add(charge.occurred_at, interval {{ var("refund_days") }} day)
        group by charge.payment_id
    ),

    trial_charges as (
        select
            trial.subscription_id,
            trial.trial_started_at,
            charge.occurred_at,
            coalesce(refund.refunded_cents, 0) >= charge.counted_cents as is_refunded
        from trials as trial
        inner join
            charges as charge
            on trial.subscription_id = charge.subscription_id
            and charge.occurred_at >= trial.trial_started_at
            and charge.occurred_at
            < timestamp_add(trial.trial_started_at, interval {{ var("trial_conversion_days") }} day)
        left join refunds as refund on charge.payment_id = refund.payment_id
    ),

    payments as (
        select
            subscription_id,
            trial_started_at,
            min(if(is_refunded, null, occurred_at)) as converted_at,
            logical_or(is_refunded) as is_refunded
        from trial_charges
        group by subscription_id, trial_started_at
    ),

    -- Of trials before the run's own journeys the checkpoint of the month tells which were credited.
    last_touches as (
        select
            converted_subscription_id as subscription_id,
            converted_at as trial_started_at,
            offer_id as last_touch_offer_id,
            last_touch_rule_id,
            last_touch_rule_version
        from {{ ref("int_offer_journeys") }}
        where is_last_touch_conversion and conversion_type = 'trial'
        union all
        {{
            history_rows(
                "int_offer_journey_trials",
                "known_date",
                checkpoint_from(is_cut_read()),
                last=checkpoint_day(),
                columns="subscription_id, trial_started_at, last_touch_offer_id, last_touch_rule_id, last_touch_rule_version",
            )
        }}
    ),

    outcomes as (
        select
            trial.*,
            last_touch.last_touch_offer_id,
            last_touch.last_touch_rule_id,
            last_touch.last_touch_rule_version,
            payment.converted_at,
            payment.converted_at is not null as is_converted,
            coalesce(payment.is_refunded, false) as is_refunded,
            coalesce(
                timestamp_add(trial.is_over_at, interval {{ var("refund_days") }} day)
                <= timestamp({{ as_of_day(1) }}),
                false
            ) as is_mature
        from trials as trial
        left join
            payments as payment
            on trial.subscription_id = payment.subscription_id
            and trial.trial_started_at = payment.trial_started_at
        left join
            last_touches as last_touch
            on trial.subscription_id = last_touch.subscription_id
            and trial.trial_started_at = last_touch.trial_started_at
    )

select
    trial_date,
    subscription_id,
    trial_started_at,
    account_id,
    market,
    provider,
    plan_id,
    plan_kind,
    offer_id,
    last_touch_offer_id,
    last_touch_rule_id,
    last_touch_rule_version,
    trial_ended_at,
    is_mature,
    case when is_converted then 'converted' when is_mature then 'abandoned' else 'pending' end as outcome,
    is_converted,
    converted_at,
    is_refunded as is_refunded_14d,
    case
        when is_converted or not is_mature
        then null
        when is_refunded
        then 'refunded'
        -- Stripe calls active what it has not charged yet.
        when state_after in ('grace', 'billing_retry') or (state_after = 'active' and not is_paid_after)
        then 'involuntary'
        when end_reason_after is not null
        then end_reason_after
        else 'no_payment'
    end as not_converted_reason,
    1 as trials,
    if(is_converted, 1, 0) as conversions
from outcomes
