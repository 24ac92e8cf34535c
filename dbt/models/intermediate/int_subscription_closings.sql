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
            plan_kind,
            provider,
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
            day_before.plan_kind as plan_kind_before,
            day.plan_kind,
            day_before.provider as provider_before,
            day.provider,
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
    )

select
    * except (holder_account_id, usd_rate),
    -- What yesterday's revenue is worth at today's rate, beyond what it was worth: no customer did anything.
    cast(
        if(
            is_same_cell and mrr_cents_before != 0,
            coalesce({{ usd_cents("mrr_cents_before", "usd_rate") }}, 0) - mrr_usd_cents_before,
            0
        ) as int64
    ) as fx_usd_cents
from held
