{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

with
    -- A day of listening counts from its arrival on, until a corrected version arrives.
    versions as (
        select
            engagement.account_id,
            engagement.activity_date,
            engagement.streams,
            engagement.ad_ms,
            coalesce(engagement.skips_blocked, 0) as skips_blocked,
            {{ counts_from("engagement.activity_date", "engagement") }} as counts_from_date,
            least(
                date_add(engagement.activity_date, interval {{ var("feature_days") }} day),
                {{ until_next("engagement.arrival_date", "engagement.account_id, engagement.activity_date") }}
            ) as counts_to_date
        from {{ ref("stg_listening__engagement_versions") }} as engagement
        cross join {{ ref("int_first_arrival") }} as first_arrival
        where
            engagement.activity_date
            between {{ known_start_day(1 - var("feature_days")) }} and {{ end_day() }}
    ),

    -- It counts for whoever the account had become on the day of listening.
    resolved as (
        select version.* except (account_id), account.resolved_account_id as account_id
        from versions as version
        inner join
            {{ ref("int_account_versions") }} as account
            on version.account_id = account.account_id
            and {{ valid_on("account", "version.activity_date") }}
        where version.counts_from_date < version.counts_to_date
    ),

    -- It enters the trailing window once and leaves it once.
    changes as (
        select
            account_id,
            activity_date,
            counts_from_date as change_date,
            streams,
            ad_ms,
            skips_blocked,
            1 as active_days
        from resolved
        union all
        select account_id, activity_date, counts_to_date, - streams, - ad_ms, - skips_blocked, -1
        from resolved
    ),

    daily_changes as (
        select
            account_id,
            -- What happened before the run is the balance it starts with.
            greatest(change_date, {{ known_start_day() }}) as change_date,
            sum(streams) as streams,
            sum(ad_ms) as ad_ms,
            sum(skips_blocked) as skips_blocked,
            sum(active_days) as active_days
        from changes
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
            sum(skips_blocked) over balance as skips_blocked_28d,
            sum(active_days) over balance as active_days_28d
        from daily_changes
        window
            balance as (
                partition by account_id order by change_date rows between unbounded preceding and current row
            )
    )

select
    feature_date,
    trailing.account_id,
    trailing.streams_28d,
    trailing.ad_ms_28d,
    trailing.skips_blocked_28d,
    -- Two merged accounts that listen on one day make it one day.
    least(trailing.active_days_28d, {{ var("feature_days") }}) as active_days_28d
from trailing
cross join
    unnest(
        generate_date_array(trailing.valid_from_date, date_sub(trailing.valid_to_date, interval 1 day))
    ) as feature_date
