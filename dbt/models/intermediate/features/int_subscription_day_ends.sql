{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

with
    -- Entitled just before 24:00, as known on the day.
    subscription_days as (
        select feature_date, life.*
        from {{ ref("int_subscription_known_lives") }} as life
        cross join
            unnest(
                generate_date_array(
                    greatest(date(life.valid_from_at), life.known_from_date, {{ known_start_day() }}),
                    least(
                        date_sub(coalesce(date(life.valid_to_at), date '9999-12-31'), interval 1 day),
                        date_sub(life.known_to_date, interval 1 day),
                        {{ end_day() }}
                    )
                )
            ) as feature_date
        where
            life.is_entitled
            and life.valid_from_at < timestamp({{ end_day(1) }})
            and (life.valid_to_at is null or life.valid_to_at > timestamp({{ known_start_day() }}))
    ),

    -- A stay in a plan, as the day knew it.
    stays as (
        select
            member.subscription_id,
            member.account_id,
            member.joined_at,
            coalesce(member.left_at, timestamp '9999-12-31') as left_at,
            {{ known_from("member") }} as known_from_date,
            {{
                until_next(
                    "member.arrival_date", "member.subscription_id, member.account_id, member.joined_at"
                )
            }} as known_to_date
        from {{ ref("stg_billing__plan_member_versions") }} as member
        cross join
            (
                select min(arrival_date) as first_arrival_date
                from {{ ref("stg_billing__plan_member_versions") }}
            ) as first_arrival
        where member.role = 'member'
    ),

    member_days as (
        select day.feature_date, day.subscription_id, stay.account_id
        from subscription_days as day
        inner join stays as stay on day.subscription_id = stay.subscription_id
        where
            stay.joined_at < timestamp(date_add(day.feature_date, interval 1 day))
            and stay.left_at >= timestamp(date_add(day.feature_date, interval 1 day))
            and stay.known_from_date <= day.feature_date
            and stay.known_to_date > day.feature_date
    ),

    member_counts as (
        select feature_date, subscription_id, count(distinct account_id) as members
        from member_days
        group by feature_date, subscription_id
    ),

    plans as (
        select plan.* replace ({{ known_from("plan", "known_from_date") }} as known_from_date)
        from {{ ref("stg_billing__plan_versions") }} as plan
        cross join
            (
                select min(known_from_date) as first_arrival_date from {{ ref("stg_billing__plan_versions") }}
            ) as first_arrival
    ),

    subscribers as (
        select feature_date, subscription_id, account_id, true as is_payer
        from subscription_days
        union all
        select feature_date, subscription_id, account_id, false as is_payer
        from member_days
    )

select
    day.feature_date,
    day.subscription_id,
    coalesce(account.resolved_account_id, subscriber.account_id) as account_id,
    subscriber.is_payer,
    day.state,
    day.is_paid,
    day.plan_id,
    plan.plan_kind,
    coalesce(day.billing_interval, plan.billing_interval) as billing_interval,
    coalesce(day.billing_interval_count, plan.billing_interval_count) as billing_interval_count,
    day.currency,
    day.is_auto_renew,
    plan.seats,
    1 + coalesce(member.members, 0) as seats_taken,
    date(day.subscription_started_at) as subscription_started_date
from subscribers as subscriber
inner join
    subscription_days as day
    on subscriber.feature_date = day.feature_date
    and subscriber.subscription_id = day.subscription_id
left join
    plans as plan
    on day.plan_id = plan.plan_id
    and day.feature_date >= plan.known_from_date
    and day.feature_date < plan.known_until_date
left join
    member_counts as member
    on day.feature_date = member.feature_date
    and day.subscription_id = member.subscription_id
left join
    {{ ref("int_account_versions") }} as account
    on subscriber.account_id = account.account_id
    and {{ valid_on("account", "subscriber.feature_date") }}
