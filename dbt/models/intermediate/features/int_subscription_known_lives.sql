{{ config(materialized="view") }}

with
    known_days as (
        select
            subscription_id,
            known_date,
            coalesce(
                lead(known_date) over (partition by subscription_id order by known_date), date '9999-12-31'
            ) as known_to_date
        from (select distinct subscription_id, known_date from {{ ref("int_subscription_restated_lives") }})
    ),

    -- The first arrival of all speaks for the days before it.
    restated as (
        select
            life.* except (known_date),
            if(
                life.known_date <= first_arrival.first_arrival_date, date '0001-01-01', life.known_date
            ) as known_from_date,
            day.known_to_date
        from {{ ref("int_subscription_restated_lives") }} as life
        inner join
            known_days as day
            on life.subscription_id = day.subscription_id
            and life.known_date = day.known_date
        cross join {{ ref("int_first_arrival") }} as first_arrival
    ),

    -- The others did not change since the run's first day.
    unchanged as (
        select life.*, date '0001-01-01' as known_from_date, date '9999-12-31' as known_to_date
        from {{ ref("int_subscription_periods") }} as life
        left join
            (select distinct subscription_id from known_days) as changed
            on life.subscription_id = changed.subscription_id
        where changed.subscription_id is null
    )

select *
from restated
union all
select *
from unchanged
