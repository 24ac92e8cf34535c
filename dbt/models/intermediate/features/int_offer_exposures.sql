{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

with
    touches as (
        select account_id, offer_id, 'shown' as touch, date(occurred_at) as touch_date, arrival_date
        from {{ ref("stg_merchandising__offer_impressions") }}
        -- Frequency caps are about what people saw.
        where
            is_shown
            and occurred_at >= timestamp({{ known_start_day(1 - var("feature_days")) }})
            and occurred_at < timestamp({{ end_day(1) }})
        union all
        select account_id, offer_id, 'clicked', date(occurred_at), arrival_date
        from {{ ref("stg_merchandising__offer_clicks") }}
        where
            occurred_at >= timestamp({{ known_start_day(1 - var("feature_days")) }})
            and occurred_at < timestamp({{ end_day(1) }})
        union all
        select account_id, offer_id, 'converted', date(occurred_at), arrival_date
        from {{ ref("stg_merchandising__checkouts") }}
        where
            occurred_at >= timestamp({{ known_start_day(1 - var("feature_days")) }})
            and occurred_at < timestamp({{ end_day(1) }})
            and checkout_result = 'completed'
    ),

    -- A touch counts from its arrival on, for the account that it belonged to, in the window of the features.
    counted as (
        select
            account.resolved_account_id as account_id,
            touch.offer_id,
            touch.touch,
            touch.touch_date,
            {{ counts_from("touch.touch_date", "touch") }} as counts_from_date,
            count(*) as touches
        from touches as touch
        inner join
            {{ ref("int_account_versions") }} as account
            on touch.account_id = account.account_id
            and {{ valid_on("account", "touch.touch_date") }}
        cross join {{ ref("int_first_arrival") }} as first_arrival
        group by 1, 2, 3, 4, 5
    ),

    touch_days as (
        select feature_date, counted.*
        from counted
        cross join
            unnest(
                generate_date_array(
                    greatest(counted.counts_from_date, {{ known_start_day() }}),
                    least(
                        date_add(counted.touch_date, interval {{ var("feature_days") - 1 }} day),
                        {{ end_day() }}
                    )
                )
            ) as feature_date
    ),

    exposures as (
        select
            feature_date,
            account_id,
            offer_id,
            cast(
                sum(
                    if(
                        touch = 'shown'
                        and touch_date
                        > date_sub(feature_date, interval {{ var("recent_feature_days") }} day),
                        touches,
                        0
                    )
                ) as int64
            ) as impressions_7d,
            cast(sum(if(touch = 'shown', touches, 0)) as int64) as impressions_28d,
            max(if(touch = 'shown', touch_date, null)) as last_shown_date,
            max(if(touch = 'clicked', touch_date, null)) as last_clicked_date,
            max(if(touch = 'converted', touch_date, null)) as last_converted_date
        from touch_days
        group by feature_date, account_id, offer_id
    )

select
    feature_date,
    account_id,
    array_agg(
        struct(
            offer_id as offer_id,
            impressions_7d as impressions_7d,
            impressions_28d as impressions_28d,
            last_shown_date as last_shown_date,
            last_clicked_date as last_clicked_date,
            last_converted_date as last_converted_date
        )
        order by offer_id
    ) as offer_exposures
from exposures
group by feature_date, account_id
