{{ config(materialized="view") }}

select
    market,
    valid_from_date,
    coalesce(
        lead(valid_from_date) over (partition by market order by valid_from_date), date '9999-12-31'
    ) as valid_to_date,
    vat_basis_points
from {{ ref("vat_rates") }}
