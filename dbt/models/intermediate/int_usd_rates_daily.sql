-- What is earned by what happened before the run needs rates as well: as far back as trials last and
-- experiments look, and up to the as-of day.
{{ config(materialized="view") }}

with
    rates as (
        select currency, rate_date, usd_rate
        from {{ ref("stg_billing__fx_rates") }}
        union all
        -- A dollar is a dollar, whether or not the feed says so; a rate of the feed comes later and wins.
        select 'USD', date '0001-01-01', cast(1 as bignumeric(38, 12))
    ),

    validity as (
        select
            currency,
            usd_rate,
            rate_date as valid_from_date,
            {{ until_next("rate_date", "currency") }} as valid_to_date
        from rates
    ),

    needed as (
        select *
        from validity
        where valid_from_date <= {{ as_of_day() }} and valid_to_date > {{ start_day(-rate_reach_days()) }}
    )

select rate_date, needed.currency, needed.usd_rate, needed.valid_from_date as told_date
from needed
cross join
    unnest(
        generate_date_array(
            greatest(needed.valid_from_date, {{ start_day(-rate_reach_days()) }}),
            least(date_sub(needed.valid_to_date, interval 1 day), {{ as_of_day() }})
        )
    ) as rate_date
