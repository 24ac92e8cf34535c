{{
    config(
        partition_by={"field": "journey_date", "data_type": "date", "granularity": "day"},
        cluster_by=["offer_id", "surface"],
        meta={"published": "days", "restates_days": var("journey_horizon_days")},
    )
}}

with
    -- Only the last touch is credited here, so that conversions and revenue add up over offers.
    journeys as (
        select
            journey_date,
            offer_id,
            surface,
            market,
            variant,
            is_mature,
            impressions,
            clicks,
            checkouts,
            if(is_last_touch_conversion and conversion_type = 'trial', 1, 0) as trials,
            if(is_last_touch_conversion and paid_at is not null, 1, 0) as paid,
            if(is_last_touch_conversion, revenue_usd_amount, 0) as revenue_usd_amount,
            if(is_last_touch_conversion, refunds_usd_amount, 0) as refunds_usd_amount
        from {{ ref("fct_offer_journey") }}
        where {{ rebuilt_days("journey_date", var("journey_horizon_days")) }}
    )

select
    journey_date,
    offer_id,
    surface,
    market,
    variant,
    {%- for prefix, journey in [("", "true"), ("mature_", "is_mature")] %}
        cast(sum(if({{ journey }}, impressions, 0)) as int64) as {{ prefix }}impressions,
        cast(sum(if({{ journey }}, 1, 0)) as int64) as {{ prefix }}reach,
        cast(sum(if({{ journey }}, clicks, 0)) as int64) as {{ prefix }}clicks,
        cast(sum(if({{ journey }}, checkouts, 0)) as int64) as {{ prefix }}checkouts,
        cast(sum(if({{ journey }}, trials, 0)) as int64) as {{ prefix }}trials,
        cast(sum(if({{ journey }}, paid, 0)) as int64) as {{ prefix }}paid,
        cast(
            sum(if({{ journey }}, revenue_usd_amount, 0)) as numeric(38, 9)
        ) as {{ prefix }}revenue_usd_amount,
        cast(
            sum(if({{ journey }}, refunds_usd_amount, 0)) as numeric(38, 9)
        ) as {{ prefix }}refunds_usd_amount{{ "," if not loop.last }}
    {%- endfor %}
from journeys
group by journey_date, offer_id, surface, market, variant
