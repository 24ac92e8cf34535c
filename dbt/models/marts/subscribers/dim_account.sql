{{ config(materialized="table", cluster_by=["account_id"], meta={"published": "whole"}) }}

select
    account_id,
    valid_from_date,
    valid_to_date,
    valid_from_date <= {{ as_of_day() }} and valid_to_date > {{ as_of_day() }} as is_current,
    created_at,
    market,
    locale,
    birth_year_band,
    resolved_account_id,
    resolved_market,
    merged_into_account_id,
    merge_refused_reason,
    deleted_at
from {{ ref("int_account_versions") }}
-- What a billing provider calls a payer was never created.
where not is_resolved_test_account and created_at is not null
