{{
    config(
        partition_by={"field": "segment_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        partitions=rebuilt_bounds(),
        meta={"published": "days", "restates_days": 0},
    )
}}

with
    accounts as (
        select
            *,
            -- Deletion is judged before consent: it is the stronger reason.
            case
                when is_deletion_requested
                then 'DELETION_REQUESTED'
                when is_marketing_withdrawn
                then 'NO_CONSENT'
            end as suppressed_reason,
            -- Good for the day after, on which it is served, and two more in which a late run may replace it.
            timestamp(date_add(feature_date, interval 4 day)) as valid_until_at
        from {{ ref("int_account_features") }}
        where {{ rebuilt_days("feature_date") }}
    ),

    addressable as (select * from accounts where suppressed_reason is null),

    -- Listens a lot, hears many ads, has never had a trial.
    trial_for_engaged_free as (
        select
            feature_date,
            account_id,
            valid_until_at,
            'trial-30-days' as offer_id,
            'trial_for_engaged_free' as rule_id,
            20 as priority,
            round(
                0.6 * least(streams_28d / 1000, 1.0)
                + 0.3 * least(ad_ms_28d / 3600000, 1.0)
                + 0.1 * least(skips_blocked_28d / 40, 1.0),
                4
            ) as score,
            'ENGAGED_FREE_LISTENER' as reason_code
        from addressable
        where not is_entitled and not has_ever_trialled and tenure_days >= 7 and streams_28d >= 200
    ),

    -- Paid before, has been away long enough to miss it and not long enough to forget it.
    winback_lapsed as (
        select
            feature_date,
            account_id,
            valid_until_at,
            'winback-3-months' as offer_id,
            'winback_lapsed' as rule_id,
            10 as priority,
            round(1.0 - days_since_lapse / 180, 4) as score,
            'LAPSED_PAYER' as reason_code
        from addressable
        where not is_entitled and has_ever_paid and days_since_lapse between 7 and 180
    ),

    -- Pays month by month, means to stay.
    annual_switch as (
        select
            feature_date,
            account_id,
            valid_until_at,
            'annual-switch' as offer_id,
            'annual_switch' as rule_id,
            30 as priority,
            round(least(subscription_tenure_days / 365, 1.0), 4) as score,
            'LOYAL_MONTHLY_PAYER' as reason_code
        from addressable
        where
            is_payer
            and is_paid
            and is_auto_renew
            and plan_kind = 'individual'
            and billing_interval = 'month'
            and subscription_tenure_days >= 30
    ),

    selected as (
        select *
        from trial_for_engaged_free
        union all
        select *
        from winback_lapsed
        union all
        select *
        from annual_switch
    ),

    offers as (
        select
            feature_date,
            account_id,
            array_agg(
                struct(
                    offer_id as offer_id,
                    rule_id as rule_id,
                    cast(1 as int64) as rule_version,
                    cast(priority as int64) as priority,
                    cast(score as float64) as score,
                    reason_code as reason_code,
                    cast(null as string) as experiment_id,
                    cast(null as string) as variant,
                    false as is_control,
                    offer_id as content_id,
                    cast(1 as int64) as content_version,
                    valid_until_at as valid_until_at
                )
                order by priority, score desc, offer_id
            ) as offers
        from selected
        group by feature_date, account_id
    )

select
    account.feature_date as segment_date,
    account.account_id,
    account.market,
    coalesce(
        offer.offers,
        cast(
            [] as array<
                struct<
                    offer_id string,
                    rule_id string,
                    rule_version int64,
                    priority int64,
                    score float64,
                    reason_code string,
                    experiment_id string,
                    variant string,
                    is_control bool,
                    content_id string,
                    content_version int64,
                    valid_until_at timestamp
                >
            >
        )
    ) as offers,
    account.suppressed_reason,
    account.valid_until_at
from accounts as account
left join
    offers as offer on account.account_id = offer.account_id and account.feature_date = offer.feature_date
where offer.account_id is not null or account.suppressed_reason is not null
