{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        meta={"published": "days", "restates_days": 0, "measures": ["mrr_usd_amount"]},
    )
}}

with
    subscription_days as (
        select * from {{ ref("fct_subscription_daily") }} where {{ rebuilt_days("snapshot_date") }}
    ),

    payers as (
        select
            snapshot_date,
            account_id,
            market,
            subscription_id,
            plan_kind,
            billing_interval,
            billing_interval_count,
            is_paid,
            is_trial,
            state = 'grace' as is_in_grace,
            is_auto_renew,
            was_active_at_day_start,
            was_active_at_day_end,
            mrr_usd_amount,
            tenure_days,
            true as is_payer
        from subscription_days
    ),

    -- Who belongs to a plan belongs to it on the days on which it is entitled.
    member_days as (
        select
            day.*,
            member.account_id as member_account_id,
            member.joined_at <= timestamp(day.snapshot_date) as is_joined_at_day_start,
            coalesce(member.left_at, timestamp '9999-12-31')
            >= timestamp(date_add(day.snapshot_date, interval 1 day)) as is_joined_at_day_end
        from subscription_days as day
        inner join
            {{ ref("stg_billing__plan_members") }} as member on day.subscription_id = member.subscription_id
        where
            member.role = 'member'
            and member.joined_at < timestamp(date_add(day.snapshot_date, interval 1 day))
            and (member.left_at is null or member.left_at > timestamp(day.snapshot_date))
    ),

    members as (
        select
            day.snapshot_date,
            coalesce(account.resolved_account_id, day.member_account_id) as account_id,
            coalesce(account.resolved_market, 'ZZ') as market,
            day.subscription_id,
            day.plan_kind,
            day.billing_interval,
            day.billing_interval_count,
            day.is_paid,
            day.is_trial,
            day.state = 'grace' as is_in_grace,
            day.is_auto_renew,
            day.was_active_at_day_start and day.is_joined_at_day_start as was_active_at_day_start,
            day.was_active_at_day_end and day.is_joined_at_day_end as was_active_at_day_end,
            -- Money is counted once, with the payer.
            cast(0 as numeric(38, 9)) as mrr_usd_amount,
            day.tenure_days,
            false as is_payer
        from member_days as day
        left join
            {{ ref("int_account_versions") }} as account
            on day.member_account_id = account.account_id
            and {{ valid_on("account", "day.snapshot_date") }}
        where not coalesce(account.is_resolved_test_account, false)
    ),

    entitlements as (
        select *
        from payers
        union all
        select *
        from members
    ),

    ranked as (select *, {{ entitlement_preference() }} as preference from entitlements),

    subscribers as (
        select
            snapshot_date,
            account_id,
            max(if(preference = 1, market, null)) as market,
            max(if(preference = 1, plan_kind, null)) as plan_kind,
            max(if(preference = 1, billing_interval, null)) as billing_interval,
            max(if(preference = 1, billing_interval_count, null)) as billing_interval_count,
            logical_or(is_payer) as is_payer,
            logical_or(not is_payer) as is_member,
            logical_or(is_paid) as is_paid,
            logical_or(is_trial) as is_in_trial,
            logical_or(is_in_grace) as is_in_grace,
            logical_or(is_payer and coalesce(is_auto_renew, false)) as is_auto_renew,
            logical_or(was_active_at_day_start) as was_active_at_day_start,
            logical_or(was_active_at_day_end) as was_active_at_day_end,
            logical_or(is_payer and is_paid and was_active_at_day_end) as was_paying_at_day_end,
            count(distinct subscription_id) as subscription_count,
            sum(mrr_usd_amount) as mrr_usd_amount,
            max(tenure_days) as tenure_days
        from ranked
        group by snapshot_date, account_id
    ),

    movements as (
        select
            snapshot_date,
            account_id,
            max(movement) as movement,
            max(churn_reason) as churn_reason,
            max(movement_reason) as movement_reason,
            max(market) as market,
            max(plan_kind) as plan_kind,
            sum(mrr_usd_cents) as movement_usd_cents,
            sum(fx_usd_cents) as fx_usd_cents
        from {{ ref("int_mrr_movements") }}
        where snapshot_date between {{ start_day() }} and {{ end_day() }}
        group by snapshot_date, account_id
    )

-- Whose last subscription ended exactly at midnight is no subscriber of the day, but churned on it.
select
    coalesce(subscriber.snapshot_date, movement.snapshot_date) as snapshot_date,
    coalesce(subscriber.account_id, movement.account_id) as account_id,
    coalesce(subscriber.market, movement.market) as market,
    if(subscriber.account_id is null, movement.plan_kind, subscriber.plan_kind) as plan_kind,
    subscriber.billing_interval,
    cast(subscriber.billing_interval_count as int64) as billing_interval_count,
    subscriber.account_id is not null as is_subscriber,
    coalesce(subscriber.is_payer, false) as is_payer,
    coalesce(subscriber.is_member, false) as is_member,
    coalesce(subscriber.is_paid, false) as is_paid,
    coalesce(subscriber.is_in_trial, false) as is_in_trial,
    coalesce(subscriber.is_in_grace, false) as is_in_grace,
    coalesce(subscriber.is_auto_renew, false) as is_auto_renew,
    coalesce(subscriber.was_active_at_day_start, false) as was_active_at_day_start,
    coalesce(subscriber.was_active_at_day_end, false) as was_active_at_day_end,
    -- A movement says what has changed since the close before; without one nothing has.
    coalesce(movement.movement = 'churn', false)
    or coalesce(subscriber.was_paying_at_day_end, false)
    and coalesce(movement.movement not in ('new', 'reactivation'), true) as was_paying_at_day_start,
    coalesce(subscriber.was_paying_at_day_end, false) as was_paying_at_day_end,
    cast(coalesce(subscriber.subscription_count, 0) as int64) as subscription_count,
    cast(coalesce(subscriber.mrr_usd_amount, 0) as numeric(38, 9)) as mrr_usd_amount,
    coalesce(movement.movement, 'none') as movement,
    movement.churn_reason,
    movement.movement_reason,
    {{ from_cents("coalesce(movement.movement_usd_cents, 0)") }} as movement_usd_amount,
    {{ from_cents("coalesce(movement.fx_usd_cents, 0)") }} as fx_usd_amount,
    cast(subscriber.tenure_days as int64) as tenure_days
from subscribers as subscriber
full outer join
    movements as movement
    on subscriber.snapshot_date = movement.snapshot_date
    and subscriber.account_id = movement.account_id
