{{ config(materialized="view") }}

with
    -- A newer rule replaces all older ones of the provider from its day on, whatever the tenure.
    days as (select distinct provider, valid_from_date from {{ ref("provider_fees") }}),

    validity as (
        select provider, valid_from_date, {{ until_next("valid_from_date", "provider") }} as valid_to_date
        from days
    )

select
    fee.provider,
    validity.valid_from_date,
    validity.valid_to_date,
    fee.from_tenure_days,
    coalesce(
        lead(fee.from_tenure_days) over (
            partition by fee.provider, fee.valid_from_date order by fee.from_tenure_days
        ),
        1000000
    ) as to_tenure_days,
    fee.fee_basis_points,
    fee.is_returned
from {{ ref("provider_fees") }} as fee
inner join validity on fee.provider = validity.provider and fee.valid_from_date = validity.valid_from_date
