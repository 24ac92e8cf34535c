{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["market", "plan_kind"],
        partitions=rebuilt_bounds(),
        meta={"published": true, "restates_days": 0},
    )
}}

select
    snapshot_date,
    market,
    plan_kind,
    provider,
    currency,
    cast(count(*) as int64) as active_subscriptions,
    cast(countif(is_paid) as int64) as paid_subscriptions,
    cast(countif(is_trial) as int64) as trial_subscriptions,
    cast(count(distinct account_id) as int64) as payers,
    cast(sum(mrr_amount) as numeric(38, 9)) as mrr_amount,
    cast(sum(mrr_usd_amount) as numeric(38, 9)) as mrr_usd_amount
from {{ ref("fct_subscription_daily") }}
-- Who left during the day is in the detail, not in the day's closing count.
where {{ rebuilt_days("snapshot_date") }} and was_active_at_day_end
group by snapshot_date, market, plan_kind, provider, currency
