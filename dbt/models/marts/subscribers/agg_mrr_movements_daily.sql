{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["movement", "market"],
        meta={"published": "days", "restates_days": 0, "measures": ["mrr_usd_amount"]},
    )
}}

with
    movements as (
        select *
        from {{ ref("int_mrr_movements") }}
        where snapshot_date between {{ start_day() }} and {{ end_day() }}
    ),

    -- What exchange rates did is nobody's doing and stands apart.
    lines as (
        select
            snapshot_date,
            movement,
            churn_reason,
            movement_reason,
            market,
            plan_kind,
            provider,
            currency,
            account_id,
            mrr_cents,
            mrr_usd_cents
        from movements
        where movement != 'none' or mrr_cents is distinct from 0 or mrr_usd_cents is distinct from 0
        union all
        select
            snapshot_date,
            'fx',
            cast(null as string),
            cast(null as string),
            market,
            plan_kind,
            provider,
            currency,
            account_id,
            0,
            fx_usd_cents
        from movements
        where fx_usd_cents is distinct from 0
    )

select
    snapshot_date,
    movement,
    churn_reason,
    movement_reason,
    market,
    plan_kind,
    provider,
    currency,
    cast(count(distinct account_id) as int64) as accounts,
    {{ from_cents("sum(mrr_cents)") }} as mrr_amount,
    {{ from_cents("sum(mrr_usd_cents)") }} as mrr_usd_amount
from lines
group by snapshot_date, movement, churn_reason, movement_reason, market, plan_kind, provider, currency
