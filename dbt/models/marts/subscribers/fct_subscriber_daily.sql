{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        partitions=rebuilt_bounds(),
        meta={"published": true, "restates_days": 0},
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
            is_paid,
            is_trial,
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
            day.is_paid,
            day.is_trial,
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
            and day.snapshot_date >= account.valid_from_date
            and day.snapshot_date < account.valid_to_date
        where not coalesce(account.is_resolved_test_account, false)
    ),

    entitlements as (
        select *
        from payers
        union all
        select *
        from members
    ),

    -- The entitlement that describes the account: one that lasts, paid, own, and the oldest of those.
    ranked as (
        select
            *,
            row_number() over (
                partition by snapshot_date, account_id
                order by
                    was_active_at_day_end desc, is_paid desc, is_payer desc, tenure_days desc, subscription_id
            ) as preference
        from entitlements
    )

select
    snapshot_date,
    account_id,
    max(if(preference = 1, market, null)) as market,
    max(if(preference = 1, plan_kind, null)) as plan_kind,
    max(if(preference = 1, billing_interval, null)) as billing_interval,
    logical_or(is_payer) as is_payer,
    logical_or(not is_payer) as is_member,
    logical_or(is_paid) as is_paid,
    logical_or(is_trial) as is_in_trial,
    logical_or(is_payer and coalesce(is_auto_renew, false)) as is_auto_renew,
    logical_or(was_active_at_day_start) as was_active_at_day_start,
    logical_or(was_active_at_day_end) as was_active_at_day_end,
    cast(count(distinct subscription_id) as int64) as subscription_count,
    cast(sum(mrr_usd_amount) as numeric(38, 9)) as mrr_usd_amount,
    cast(max(tenure_days) as int64) as tenure_days
from ranked
group by snapshot_date, account_id
