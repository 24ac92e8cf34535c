{{
    config(
        partition_by={"field": "exposure_date", "data_type": "date", "granularity": "day"},
        cluster_by=["experiment_id", "account_id"],
        meta={"published": "days", "restates_days": var("experiment_window_days")},
    )
}}

select
    exposure_date,
    experiment_id,
    experiment_version,
    account_id,
    variant,
    is_control,
    exposed_at,
    exposure_source,
    cast(exposures as int64) as exposures,
    surface,
    market,
    rule_id,
    decision_id,
    generation,
    hashed_variant,
    is_variant_mismatch,
    is_excluded,
    exclusion_reason
from {{ ref("int_experiment_exposures") }}
where {{ rebuilt_days("exposure_date", var("experiment_window_days")) }}
