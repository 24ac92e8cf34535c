{{ config(materialized="view") }}

select
    market, valid_from_date, {{ until_next("valid_from_date", "market") }} as valid_to_date, vat_basis_points
from {{ ref("vat_rates") }}
