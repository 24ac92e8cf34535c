{{
    config(
        partition_by={"field": "trial_start_date", "data_type": "date", "granularity": "day"},
        cluster_by=["market", "plan_kind"],
        meta={
            "published": "days",
            "restates_days": var("trial_conversion_days"),
            "measures": ["started", "converted"],
        },
    )
}}

select
    trial_date as trial_start_date,
    market,
    plan_kind,
    provider,
    offer_id,
    cast(count(*) as int64) as started,
    cast(countif(outcome = 'converted') as int64) as converted,
    cast(countif(outcome = 'pending') as int64) as pending,
    cast(countif(outcome = 'abandoned') as int64) as abandoned,
    cast(countif(is_mature) as int64) as mature_started,
    cast(countif(is_mature and is_converted) as int64) as mature_converted
from {{ ref("fct_trial") }}
where {{ rebuilt_days("trial_date", var("trial_conversion_days")) }}
group by trial_date, market, plan_kind, provider, offer_id
