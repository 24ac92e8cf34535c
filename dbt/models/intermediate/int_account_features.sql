{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

with
    -- Accounts that survive a merge, on the days on which they are theirs and not set apart.
    account_days as (
        select
            feature_date,
            account.account_id,
            account.market,
            account.locale,
            account.created_at,
            account.deleted_at
        from {{ ref("int_account_versions") }} as account
        cross join
            unnest(
                generate_date_array(
                    greatest(account.valid_from_date, date(account.created_at), {{ start_day() }}),
                    least(date_sub(account.valid_to_date, interval 1 day), {{ end_day() }})
                )
            ) as feature_date
        where
            account.account_id = account.resolved_account_id
            and not account.is_resolved_test_account
            and account.valid_from_date <= {{ end_day() }}
            and account.valid_to_date > {{ start_day() }}
            and date(account.created_at) <= {{ end_day() }}
    ),

    -- Facts of an account count for whoever it has become: each raw account with its survivors.
    survivors as (
        select account_id, resolved_account_id, valid_from_date, valid_to_date
        from {{ ref("int_account_versions") }}
        where valid_from_date <= {{ end_day() }} and valid_to_date > {{ start_day(-27) }}
    ),

    listening_days as (
        select
            survivor.resolved_account_id as account_id,
            engagement.activity_date,
            sum(engagement.streams) as streams,
            sum(engagement.ad_ms) as ad_ms,
            sum(coalesce(engagement.skips_blocked, 0)) as skips_blocked
        from {{ ref("stg_listening__engagement_daily") }} as engagement
        inner join
            survivors as survivor
            on engagement.account_id = survivor.account_id
            and engagement.activity_date >= survivor.valid_from_date
            and engagement.activity_date < survivor.valid_to_date
        where engagement.activity_date between {{ start_day(-27) }} and {{ end_day() }}
        group by survivor.resolved_account_id, engagement.activity_date
    ),

    -- A day of listening enters the trailing window once and leaves it 28 days later.
    listening_changes as (
        select account_id, activity_date as change_date, streams, ad_ms, skips_blocked
        from listening_days
        union all
        select account_id, date_add(activity_date, interval 28 day), - streams, - ad_ms, - skips_blocked
        from listening_days
    ),

    daily_changes as (
        select
            account_id,
            -- What happened before the run is the balance it starts with.
            greatest(change_date, {{ start_day() }}) as change_date,
            sum(streams) as streams,
            sum(ad_ms) as ad_ms,
            sum(skips_blocked) as skips_blocked
        from listening_changes
        where change_date <= {{ end_day() }}
        group by account_id, 2
    ),

    trailing as (
        select
            account_id,
            change_date as valid_from_date,
            coalesce(
                lead(change_date) over (partition by account_id order by change_date), {{ end_day(1) }}
            ) as valid_to_date,
            sum(streams) over balance as streams_28d,
            sum(ad_ms) over balance as ad_ms_28d,
            sum(skips_blocked) over balance as skips_blocked_28d
        from daily_changes
        window
            balance as (
                partition by account_id order by change_date rows between unbounded preceding and current row
            )
    ),

    trailing_days as (
        select
            feature_date,
            trailing.account_id,
            trailing.streams_28d,
            trailing.ad_ms_28d,
            trailing.skips_blocked_28d
        from trailing
        cross join
            unnest(
                generate_date_array(
                    trailing.valid_from_date, date_sub(trailing.valid_to_date, interval 1 day)
                )
            ) as feature_date
    ),

    -- Dates in an account's subscription life, each a fact that holds from its day on.
    milestones as (
        select
            account_id,
            date(valid_from_at) as milestone_date,
            state = 'trial' as is_trial,
            state in ('active', 'grace') as is_paid,
            not is_entitled
            and coalesce(
                lag(is_entitled) over (partition by subscription_id order by valid_from_at), false
            ) as is_end
        from {{ ref("int_subscription_periods") }}
    ),

    subscription_facts as (
        select
            day.feature_date,
            day.account_id,
            logical_or(milestone.is_trial) as has_ever_trialled,
            logical_or(milestone.is_paid) as has_ever_paid,
            max(if(milestone.is_end, milestone.milestone_date, null)) as last_ended_date
        from account_days as day
        inner join
            survivors as survivor
            on day.account_id = survivor.resolved_account_id
            and day.feature_date >= survivor.valid_from_date
            and day.feature_date < survivor.valid_to_date
        inner join
            milestones as milestone
            on survivor.account_id = milestone.account_id
            and milestone.milestone_date <= day.feature_date
        group by day.feature_date, day.account_id
    ),

    marketing_consents as (
        select
            account_id,
            date(occurred_at) as valid_from_date,
            coalesce(
                lead(date(occurred_at)) over (partition by account_id order by date(occurred_at)),
                date '9999-12-31'
            ) as valid_to_date,
            is_granted
        from {{ ref("stg_identity__consents") }}
        where consent_purpose = 'marketing'
        qualify
            row_number() over (
                -- Granted and withdrawn at one instant: the cautious reading.
                partition by account_id, date(occurred_at) order by occurred_at desc, is_granted
            )
            = 1
    ),

    consent_facts as (
        select day.feature_date, day.account_id, logical_or(not consent.is_granted) as is_marketing_withdrawn
        from account_days as day
        inner join
            survivors as survivor
            on day.account_id = survivor.resolved_account_id
            and day.feature_date >= survivor.valid_from_date
            and day.feature_date < survivor.valid_to_date
        inner join
            marketing_consents as consent
            on survivor.account_id = consent.account_id
            and day.feature_date >= consent.valid_from_date
            and day.feature_date < consent.valid_to_date
        group by day.feature_date, day.account_id
    ),

    first_deletion_requests as (
        select account_id, min(date(requested_at)) as requested_date
        from {{ ref("stg_identity__deletion_requests") }}
        group by account_id
    ),

    deletion_facts as (
        select distinct day.feature_date, day.account_id
        from account_days as day
        inner join
            survivors as survivor
            on day.account_id = survivor.resolved_account_id
            and day.feature_date >= survivor.valid_from_date
            and day.feature_date < survivor.valid_to_date
        inner join
            first_deletion_requests as request
            on survivor.account_id = request.account_id
            and request.requested_date <= day.feature_date
    ),

    entitled_days as (
        select *
        from {{ ref("fct_subscriber_daily") }}
        where {{ rebuilt_days("snapshot_date") }} and was_active_at_day_end
    )

select
    day.feature_date,
    day.account_id,
    day.market,
    day.locale,
    date_diff(day.feature_date, date(day.created_at), day) as tenure_days,
    cast(coalesce(listening.streams_28d, 0) as int64) as streams_28d,
    cast(coalesce(listening.ad_ms_28d, 0) as int64) as ad_ms_28d,
    cast(coalesce(listening.skips_blocked_28d, 0) as int64) as skips_blocked_28d,
    coalesce(subscription.has_ever_trialled, false) as has_ever_trialled,
    coalesce(subscription.has_ever_paid, false) as has_ever_paid,
    entitled.account_id is not null as is_entitled,
    coalesce(entitled.is_payer, false) as is_payer,
    coalesce(entitled.is_paid, false) as is_paid,
    coalesce(entitled.is_auto_renew, false) as is_auto_renew,
    entitled.plan_kind,
    entitled.billing_interval,
    entitled.tenure_days as subscription_tenure_days,
    if(
        entitled.account_id is null, date_diff(day.feature_date, subscription.last_ended_date, day), null
    ) as days_since_lapse,
    coalesce(consent.is_marketing_withdrawn, false) as is_marketing_withdrawn,
    deletion.account_id is not null
    or coalesce(date(day.deleted_at) <= day.feature_date, false) as is_deletion_requested
from account_days as day
left join
    trailing_days as listening
    on day.account_id = listening.account_id
    and day.feature_date = listening.feature_date
left join
    subscription_facts as subscription
    on day.account_id = subscription.account_id
    and day.feature_date = subscription.feature_date
left join
    consent_facts as consent
    on day.account_id = consent.account_id
    and day.feature_date = consent.feature_date
left join
    deletion_facts as deletion
    on day.account_id = deletion.account_id
    and day.feature_date = deletion.feature_date
left join
    entitled_days as entitled
    on day.account_id = entitled.account_id
    and day.feature_date = entitled.snapshot_date
