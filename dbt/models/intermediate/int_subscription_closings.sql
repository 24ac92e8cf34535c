-- Each day's close beside the one before: one row per subscription and day on which either has it.
{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

with
    closings as (
        select
            snapshot_date,
            subscription_id,
            holder_account_id,
            is_paid,
            market,
            plan_id,
            plan_kind,
            billing_interval,
            billing_interval_count,
            provider,
            price_amount,
            currency,
            mrr_cents,
            mrr_usd_cents,
            first_paid_at
        from {{ ref("int_subscription_days") }}
        where
            snapshot_date between {{ start_day(-1) }} and {{ end_day() }}
            and was_active_at_day_end
            and not is_excluded
    ),

    pairs as (
        select
            coalesce(day.snapshot_date, date_add(day_before.snapshot_date, interval 1 day)) as snapshot_date,
            coalesce(day.subscription_id, day_before.subscription_id) as subscription_id,
            coalesce(day.holder_account_id, day_before.holder_account_id) as holder_account_id,
            coalesce(day.first_paid_at, day_before.first_paid_at) as first_paid_at,
            day_before.subscription_id is not null as was_active,
            day.subscription_id is not null as is_active,
            coalesce(day_before.is_paid, false) as was_paid,
            coalesce(day.is_paid, false) as is_paid,
            day_before.market as market_before,
            day.market,
            day_before.plan_id as plan_id_before,
            day.plan_id,
            day_before.plan_kind as plan_kind_before,
            day.plan_kind,
            day_before.billing_interval as billing_interval_before,
            day.billing_interval,
            day_before.billing_interval_count as billing_interval_count_before,
            day.billing_interval_count,
            day_before.provider as provider_before,
            day.provider,
            day_before.price_amount as price_amount_before,
            day.price_amount,
            day_before.currency as currency_before,
            day.currency,
            -- What is not known (no price, no rate yet) counts as nothing until it is.
            coalesce(day_before.mrr_cents, 0) as mrr_cents_before,
            coalesce(day.mrr_cents, 0) as mrr_cents,
            coalesce(day_before.mrr_usd_cents, 0) as mrr_usd_cents_before,
            coalesce(day.mrr_usd_cents, 0) as mrr_usd_cents
        from closings as day
        full outer join
            closings as day_before
            on day.subscription_id = day_before.subscription_id
            and day.snapshot_date = date_add(day_before.snapshot_date, interval 1 day)
    ),

    -- Both closes are those of the account that holds the subscription now, also after a merge.
    held as (
        select
            pair.*,
            coalesce(account.resolved_account_id, pair.holder_account_id) as account_id,
            rate.usd_rate,
            pair.was_active
            and pair.is_active
            and pair.market_before is not distinct from pair.market
            and pair.plan_kind_before is not distinct from pair.plan_kind
            and pair.provider_before is not distinct from pair.provider
            and pair.currency_before is not distinct from pair.currency as is_same_cell
        from pairs as pair
        left join
            {{ ref("int_account_versions") }} as account
            on pair.holder_account_id = account.account_id
            and {{ valid_on("account", "pair.snapshot_date") }}
        left join
            {{ ref("int_usd_rates_daily") }} as rate
            on pair.currency_before = rate.currency
            and pair.snapshot_date = rate.rate_date
        where pair.snapshot_date between {{ start_day() }} and {{ end_day() }}
    ),

    -- What yesterday's revenue is worth at today's rate, beyond what it was worth: no customer did anything.
    revalued as (
        select
            * except (holder_account_id, usd_rate),
            cast(
                if(
                    is_same_cell and mrr_cents_before != 0,
                    coalesce({{ usd_cents("mrr_cents_before", "usd_rate") }}, 0) - mrr_usd_cents_before,
                    0
                ) as int64
            ) as fx_usd_cents
        from held
    ),

    -- The part of the life in which a subscription began or ceased to be paid.
    turned_periods as (
        select
            closing.snapshot_date,
            period.subscription_id,
            period.state,
            period.end_reason,
            period.valid_from_at,
            period.valid_from_at < timestamp(closing.snapshot_date) as is_before_day,
            max(
                if(
                    period.valid_from_at >= timestamp(closing.snapshot_date)
                    and period.end_reason is not null,
                    period.valid_from_at,
                    null
                )
            ) over (partition by closing.snapshot_date, period.subscription_id) as ended_at
        from revalued as closing
        inner join
            {{ ref("int_subscription_periods") }} as period
            on closing.subscription_id = period.subscription_id
        where
            (closing.is_paid != closing.was_paid or closing.was_active and not closing.is_active)
            and period.valid_from_at < timestamp(date_add(closing.snapshot_date, interval 1 day))
            and coalesce(period.valid_to_at, timestamp '9999-12-31') >= timestamp(closing.snapshot_date)
    ),

    turns as (
        select
            snapshot_date,
            subscription_id,
            max(if(is_before_day, state, null)) as state_before,
            max(ended_at) as ended_at,
            max(if(valid_from_at = ended_at, end_reason, null)) as end_reason
        from turned_periods
        group by snapshot_date, subscription_id
    ),

    compared as (
        select
            closing.*,
            turn.state_before,
            turn.ended_at,
            turn.end_reason,
            closing.mrr_usd_cents - closing.mrr_usd_cents_before - closing.fx_usd_cents as change_usd_cents,
            coalesce(
                not (
                    {{
                        is_same_rhythm(
                            "closing.billing_interval_before",
                            "closing.billing_interval_count_before",
                            "closing.billing_interval",
                            "closing.billing_interval_count",
                        )
                    }}
                ),
                closing.billing_interval_before is distinct from closing.billing_interval
            ) as is_other_rhythm
        from revalued as closing
        left join
            turns as turn
            on closing.snapshot_date = turn.snapshot_date
            and closing.subscription_id = turn.subscription_id
    )

select
    * except (
        plan_id_before,
        plan_id,
        billing_interval_before,
        billing_interval,
        billing_interval_count_before,
        billing_interval_count,
        price_amount_before,
        price_amount,
        state_before,
        is_other_rhythm
    ),
    case
        when is_paid and not was_paid
        then
            case
                when first_paid_at >= timestamp(snapshot_date)
                then 'start'
                when state_before = 'billing_retry'
                then 'recovery'
                when state_before = 'paused'
                then 'resumption'
                else 'return'
            end
        when was_paid and not is_paid
        then
            case
                when is_active
                then 'other'
                when end_reason = 'paused'
                then 'subscription_paused'
                when end_reason = 'involuntary'
                then 'payment_failure'
                else 'subscription_ended'
            end
        when change_usd_cents = 0
        then null
        when is_other_rhythm and plan_kind_before is not distinct from plan_kind
        then 'rhythm'
        when plan_id_before is distinct from plan_id
        then if(change_usd_cents > 0, 'upgrade', 'downgrade')
        when currency_before is distinct from currency
        then 'currency'
        when is_other_rhythm
        then 'rhythm'
        when price_amount_before is distinct from price_amount
        then 'price'
        else 'other'
    end as change_reason
from compared
