{{
    config(
        partition_by={"field": "revenue_date", "data_type": "date", "granularity": "day"},
        cluster_by=["market", "plan_kind"],
        meta={
            "published": "days",
            "restates_days": 0,
            "measures": ["gross_usd_amount", "net_usd_amount", "accrued_usd_amount"],
        },
    )
}}

with
    payments as (
        select
            payment_date as revenue_date,
            market,
            plan_kind,
            provider,
            currency,
            payment_kind,
            {{ cash_lines() }}
        from {{ ref("int_payments") }}
        where {{ rebuilt_days("payment_date") }} and is_counted
    ),

    cash as (
        select
            revenue_date,
            market,
            plan_kind,
            provider,
            currency,
            countif(payment_kind = 'charge') as charges,
            countif(payment_kind = 'refund') as refunds,
            countif(payment_kind = 'dispute') as disputes,
            sum(is_without_rate) as payments_without_rate,
            {%- for line in cash_names() %}
                sum({{ line }}_cents) as {{ line }}_cents,
                {{ known_sum(line ~ "_usd_cents") }} as {{ line }}_usd_cents,
            {%- endfor %}
        from payments
        group by revenue_date, market, plan_kind, provider, currency
    ),

    closings as (
        select
            snapshot_date,
            market,
            plan_kind,
            provider,
            currency,
            mrr_cents,
            mrr_usd_cents,
            extract(day from snapshot_date) as day_of_month,
            extract(day from last_day(snapshot_date)) as days_of_month
        from {{ ref("int_subscription_days") }}
        where {{ rebuilt_days("snapshot_date") }} and was_active_at_day_end and not is_excluded
    ),

    accrual as (
        select
            snapshot_date,
            market,
            plan_kind,
            provider,
            currency,
            sum(mrr_cents) as mrr_cents,
            sum(mrr_usd_cents) as mrr_usd_cents,
            -- What has accrued by the end of the day, beyond what had by its beginning: the days of a month
            -- add up to its revenue, to the cent.
            {%- for amount in ["mrr", "mrr_usd"] %}
                sum(
                    {{ half_even_div("(" ~ amount ~ "_cents * day_of_month)", "days_of_month") }}
                    - {{ half_even_div("(" ~ amount ~ "_cents * (day_of_month - 1))", "days_of_month") }}
                ) as {{ amount | replace("mrr", "accrued") }}_cents{{ "," if not loop.last }}
            {%- endfor %}
        from closings
        group by snapshot_date, market, plan_kind, provider, currency
    ),

    cells as (
        select revenue_date, market, plan_kind, provider, currency
        from cash
        union distinct
        select snapshot_date, market, plan_kind, provider, currency
        from accrual
    )

select
    cell.revenue_date,
    cell.market,
    cell.plan_kind,
    cell.provider,
    cell.currency,
    cast(coalesce(cash.charges, 0) as int64) as charges,
    cast(coalesce(cash.refunds, 0) as int64) as refunds,
    cast(coalesce(cash.disputes, 0) as int64) as disputes,
    cast(coalesce(cash.payments_without_rate, 0) as int64) as payments_without_rate,
    {%- for currency in ["", "_usd"] %}
        {%- for line in cash_names() %}
            {{ from_cents("if(cash.charges is null, 0, cash." ~ line ~ currency ~ "_cents)") }}
            as {{ line }}{{ currency }}_amount,
        {%- endfor %}
    {%- endfor %}
    {%- for amount in ["mrr", "mrr_usd", "accrued", "accrued_usd"] %}
        {{ from_cents("coalesce(accrual." ~ amount ~ "_cents, 0)") }}
        as {{ amount }}_amount{{ "," if not loop.last }}
    {%- endfor %}
from cells as cell
left join
    cash
    on cell.revenue_date = cash.revenue_date
    and cell.market = cash.market
    and cell.plan_kind is not distinct from cash.plan_kind
    and cell.provider is not distinct from cash.provider
    and cell.currency is not distinct from cash.currency
left join
    accrual
    on cell.revenue_date = accrual.snapshot_date
    and cell.market = accrual.market
    and cell.plan_kind is not distinct from accrual.plan_kind
    and cell.provider is not distinct from accrual.provider
    and cell.currency is not distinct from accrual.currency
