-- The day before the run's first is here as well: movements compare each day with the one before.
{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

with
    -- Only what touches these days is exploded into days.
    entitled_periods as (
        select *, coalesce(valid_to_at, timestamp '9999-12-31') as ends_at
        from {{ ref("int_subscription_periods") }}
        where
            is_entitled
            and valid_from_at < timestamp({{ end_day(1) }})
            and (valid_to_at is null or valid_to_at > timestamp({{ start_day(-1) }}))
    ),

    period_days as (
        select
            snapshot_date,
            period.*,
            period.valid_from_at <= timestamp(snapshot_date) as is_at_day_start,
            period.ends_at >= timestamp(date_add(snapshot_date, interval 1 day)) as is_at_day_end
        from entitled_periods as period
        cross join
            unnest(
                {{ touched_days("period.valid_from_at", "period.ends_at", start_day(-1), end_day()) }}
            ) as snapshot_date
    ),

    -- The day's last entitled period speaks for the day; each edge of the day is held by any of them.
    subscription_days as (
        select
            *,
            max(if(is_at_day_start, 1, 0)) over (partition by subscription_id, snapshot_date)
            = 1 as was_active_at_day_start,
            max(if(is_at_day_end, 1, 0)) over (partition by subscription_id, snapshot_date)
            = 1 as was_active_at_day_end
        from period_days
        where true
        qualify
            row_number() over (partition by subscription_id, snapshot_date order by valid_from_at desc) = 1
    ),

    -- An account that no feed has introduced keeps its subscription, in market ZZ (ISO 3166: unknown).
    account_days as (
        select
            days.*,
            coalesce(account.resolved_account_id, days.account_id) as resolved_account_id,
            coalesce(account.resolved_market, 'ZZ') as market,
            coalesce(account.is_resolved_test_account, false) as is_excluded
        from subscription_days as days
        left join
            {{ ref("int_account_versions") }} as account
            on days.account_id = account.account_id
            and {{ valid_on("account", "days.snapshot_date") }}
    ),

    -- What no event tells, the catalogue may.
    quoted as (
        select
            days.* except (price_amount, currency),
            days.price_amount as told_price_amount,
            days.currency as told_currency,
            coalesce(days.price_amount, list_price.price_amount) as price_amount,
            coalesce(days.currency, list_price.currency) as currency
        from account_days as days
        left join
            {{ ref("int_list_prices_daily") }} as list_price
            on {{
                is_list_price_of(
                    "list_price",
                    "days.snapshot_date",
                    "days.plan_id",
                    "days.market",
                    "days.price_amount",
                    "days.is_price_unknown",
                    "days.currency",
                    "days.billing_interval",
                    "days.billing_interval_count",
                )
            }}
    ),

    priced as (
        select
            days.*,
            plan.plan_kind,
            coalesce(days.billing_interval, plan.billing_interval) as paid_interval,
            coalesce(days.billing_interval_count, plan.billing_interval_count) as paid_interval_count,
            rate.usd_rate,
            {{ to_cents("days.price_amount") }} as price_cents,
            date_diff(days.snapshot_date, date(days.subscription_started_at), day) as tenure_days
        from quoted as days
        left join {{ ref("stg_billing__plans") }} as plan on days.plan_id = plan.plan_id
        left join
            {{ ref("int_usd_rates_daily") }} as rate
            on days.currency = rate.currency
            and days.snapshot_date = rate.rate_date
    ),

    monthly as (
        select
            *,
            if(
                not is_paid or not was_active_at_day_end,
                0,
                {{ month_cents("price_cents", "paid_interval", "paid_interval_count") }}
            ) as mrr_cents
        from priced
    ),

    -- Tax is taken out of what includes it, then the provider's fee of what remains.
    taxed as (
        select
            day.*,
            {{
                half_even_div(
                    "(day.mrr_cents * 10000)",
                    "(10000 + if(coalesce(price.is_tax_inclusive, true), coalesce(vat.vat_basis_points, 0), 0))",
                )
            }}
            as untaxed_mrr_cents
        from monthly as day
        left join
            {{ ref("int_vat_rates") }} as vat
            on day.market = vat.market
            and {{ valid_on("vat", "day.snapshot_date") }}
        left join
            {{ ref("int_list_prices") }} as price
            on day.plan_id = price.plan_id
            and day.market = price.market
            and day.currency = price.currency
            and {{ valid_on("price", "day.snapshot_date") }}
    ),

    netted as (
        select
            day.*,
            day.untaxed_mrr_cents
            - {{ half_even_div("(day.untaxed_mrr_cents * coalesce(fee.fee_basis_points, 0))", "10000") }}
            as net_mrr_cents
        from taxed as day
        left join
            {{ ref("int_provider_fees") }} as fee
            on day.provider = fee.provider
            and {{ valid_on("fee", "day.snapshot_date") }}
            and day.tenure_days >= fee.from_tenure_days
            and day.tenure_days < fee.to_tenure_days
    )

select
    snapshot_date,
    subscription_id,
    account_id as holder_account_id,
    resolved_account_id as account_id,
    is_excluded,
    provider,
    market,
    plan_id,
    plan_kind,
    paid_interval as billing_interval,
    paid_interval_count as billing_interval_count,
    state,
    is_paid,
    is_auto_renew,
    was_active_at_day_start,
    was_active_at_day_end,
    cast(price_amount as numeric(38, 9)) as price_amount,
    currency,
    told_price_amount,
    is_price_unknown,
    told_currency,
    cast(mrr_cents as int64) as mrr_cents,
    -- Nothing is nothing in every currency, also in one without a rate.
    cast(if(mrr_cents = 0, 0, {{ usd_cents("mrr_cents", "usd_rate") }}) as int64) as mrr_usd_cents,
    cast(net_mrr_cents as int64) as net_mrr_cents,
    cast(
        if(net_mrr_cents = 0, 0, {{ usd_cents("net_mrr_cents", "usd_rate") }}) as int64
    ) as net_mrr_usd_cents,
    usd_rate,
    subscription_started_at,
    first_paid_at,
    tenure_days,
    cancelled_at,
    (
        select told.ends_at
        from unnest(period_ends) as told
        where told.told_at < timestamp(date_add(snapshot_date, interval 1 day))
        order by told.told_at desc
        limit 1
    ) as current_period_end_at
from netted
