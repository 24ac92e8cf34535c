{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["market", "plan_kind"],
        meta={
            "published": "days",
            "restates_days": 0,
            "measures": ["active_subscriptions", "mrr_usd_amount", "net_mrr_usd_amount"],
        },
    )
}}

with
    -- Who left during the day is in the detail, not in the day's closing count.
    closing_counts as (
        select
            snapshot_date,
            market,
            plan_kind,
            provider,
            currency,
            count(*) as active_subscriptions,
            countif(is_paid) as paid_subscriptions,
            countif(state = 'trial') as trial_subscriptions,
            countif(not is_paid and state != 'trial') as unpaid_subscriptions,
            countif(mrr_usd_cents is null) as unpriced_subscriptions,
            count(distinct account_id) as payers,
            sum(mrr_cents) as mrr_cents,
            sum(mrr_usd_cents) as mrr_usd_cents,
            sum(net_mrr_cents) as net_mrr_cents,
            sum(net_mrr_usd_cents) as net_mrr_usd_cents
        from {{ ref("int_subscription_days") }}
        where {{ rebuilt_days("snapshot_date") }} and was_active_at_day_end and not is_excluded
        group by snapshot_date, market, plan_kind, provider, currency
    ),

    closings as (
        select *
        from {{ ref("int_subscription_closings") }}
        where snapshot_date between {{ start_day() }} and {{ end_day() }}
    ),

    -- Each subscription leaves the cell that it was in and enters the one that it is in.
    sides as (
        select
            snapshot_date,
            market_before as market,
            plan_kind_before as plan_kind,
            provider_before as provider,
            currency_before as currency,
            1 as opening,
            0 as starts,
            if(is_active, 0, 1) as ends,
            0 as moves_in,
            if(is_active and not is_same_cell, 1, 0) as moves_out
        from closings
        where was_active
        union all
        select
            snapshot_date,
            market,
            plan_kind,
            provider,
            currency,
            0,
            if(was_active, 0, 1),
            0,
            if(was_active and not is_same_cell, 1, 0),
            0
        from closings
        where is_active
    ),

    movement_counts as (
        select
            snapshot_date,
            market,
            plan_kind,
            provider,
            currency,
            sum(opening) as opening_subscriptions,
            sum(starts) as starts,
            sum(ends) as ends,
            sum(moves_in) as moves_in,
            sum(moves_out) as moves_out
        from sides
        group by snapshot_date, market, plan_kind, provider, currency
    )

select
    movement.snapshot_date,
    movement.market,
    movement.plan_kind,
    movement.provider,
    movement.currency,
    cast(movement.opening_subscriptions as int64) as opening_subscriptions,
    cast(movement.starts as int64) as starts,
    cast(movement.ends as int64) as ends,
    cast(movement.moves_in as int64) as moves_in,
    cast(movement.moves_out as int64) as moves_out,
    cast(coalesce(closing.active_subscriptions, 0) as int64) as active_subscriptions,
    cast(coalesce(closing.paid_subscriptions, 0) as int64) as paid_subscriptions,
    cast(coalesce(closing.trial_subscriptions, 0) as int64) as trial_subscriptions,
    cast(coalesce(closing.unpaid_subscriptions, 0) as int64) as unpaid_subscriptions,
    cast(coalesce(closing.unpriced_subscriptions, 0) as int64) as unpriced_subscriptions,
    cast(coalesce(closing.payers, 0) as int64) as payers,
    {%- for amount in ["mrr", "mrr_usd", "net_mrr", "net_mrr_usd"] %}
        {{ from_cents("coalesce(closing." ~ amount ~ "_cents, 0)") }}
        as {{ amount }}_amount{{ "," if not loop.last }}
    {%- endfor %}
from movement_counts as movement
left join
    closing_counts as closing
    on movement.snapshot_date = closing.snapshot_date
    and movement.market = closing.market
    and movement.plan_kind is not distinct from closing.plan_kind
    and movement.provider = closing.provider
    and movement.currency is not distinct from closing.currency
