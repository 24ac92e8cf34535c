{{
    config(
        partition_by={"field": "journey_date", "data_type": "date", "granularity": "day"},
        cluster_by=["offer_id", "surface"],
        meta={
            "published": "days",
            "restates_days": var("journey_horizon_days"),
            "measures": ["impressions", "clicks", "conversions", "paid", "revenue_usd_amount"],
        },
    )
}}

{%- set counts = [
    "impressions",
    "journeys",
    "clicks",
    "clicked_journeys",
    "checkouts",
    "checkout_journeys",
    "conversions",
    "trials",
    "trials_paid",
    "purchases",
    "paid",
    "clicked_paid",
    "refunded",
    "charged_back",
] %}
{%- set amounts = ["revenue_usd_amount", "refunds_usd_amount", "chargebacks_usd_amount"] %}

with
    -- Only the last touch is credited here, so that conversions and revenue add up over offers.
    credited as (
        select
            *,
            if(is_last_touch_conversion, conversion_type, null) as credited_type,
            is_last_touch_conversion and paid_at is not null as is_paid
        from {{ ref("fct_offer_journey") }}
        where {{ rebuilt_days("journey_date", var("journey_horizon_days")) }}
    ),

    flights as (
        select
            journey_date,
            offer_id,
            surface,
            market,
            variant,
            coalesce(rule_id, 'none') as rule_id,
            account_id,
            is_mature,
            is_closed,
            1 as journeys,
            impressions,
            clicks,
            if(clicks > 0, 1, 0) as clicked_journeys,
            checkouts,
            if(checkouts > 0, 1, 0) as checkout_journeys,
            if(credited_type is not null, 1, 0) as conversions,
            if(credited_type = 'trial', 1, 0) as trials,
            if(credited_type = 'trial' and is_paid, 1, 0) as trials_paid,
            if(credited_type = 'paid', 1, 0) as purchases,
            if(is_paid, 1, 0) as paid,
            if(is_paid and clicks > 0, 1, 0) as clicked_paid,
            if(is_paid and refunded_at is not null, 1, 0) as refunded,
            if(is_paid and charged_back_at is not null, 1, 0) as charged_back,
            {%- for amount in amounts %}
                if(is_last_touch_conversion, {{ amount }}, 0) as {{ amount }}{{ "," if not loop.last }}
            {%- endfor %}
        from credited
    )

select
    journey_date,
    offer_id,
    surface,
    market,
    variant,
    rule_id,
    cast(count(distinct account_id) as int64) as reach,
    cast(count(distinct if(is_mature, account_id, null)) as int64) as mature_reach,
    {%- for prefix, journey in [("", "true"), ("mature_", "is_mature"), ("closed_", "is_closed")] %}
        {%- for count in counts %}
            cast(sum(if({{ journey }}, {{ count }}, 0)) as int64) as {{ prefix }}{{ count }},
        {%- endfor %}
        {%- for amount in amounts %}
            cast(
                sum(if({{ journey }}, {{ amount }}, 0)) as numeric(38, 9)
            ) as {{ prefix }}{{ amount }}{{ "," if not loop.last }}
        {%- endfor %} {{ "," if not loop.last }}
    {%- endfor %}
from flights
group by journey_date, offer_id, surface, market, variant, rule_id
