{{ config(materialized="view") }}

with
    -- The lives of which events arrived after the run's first day, as known on that day and on each of those
    -- arrival days. There are none when a run builds only the day that it knows.
    restated_lives as (
        select * except (is_touched_by_arrival, is_checkpoint, is_run_start, is_skipped_checkpoint)
        from {{ ref("int_subscription_lives") }}
        where
            known_date between {{ known_start_day() }} and {{ as_of_day() }}
            and if(known_date = {{ known_start_day() }}, is_run_start, is_touched_by_arrival)
    ),

    -- Events may begin before accounts do: then the first of them speak for the days before.
    first_arrival as (
        select least(min(accounts.first_arrival_date), min(life.known_date)) as first_arrival_date
        from restated_lives as life
        cross join {{ ref("int_first_arrival") }} as accounts
    ),

    known_days as (
        select subscription_id, known_date, {{ until_next("known_date", "subscription_id") }} as known_to_date
        from (select distinct subscription_id, known_date from restated_lives)
    ),

    restated as (
        select
            life.* except (known_date),
            {{ known_from("life", "known_date") }} as known_from_date,
            day.known_to_date
        from restated_lives as life
        inner join
            known_days as day
            on life.subscription_id = day.subscription_id
            and life.known_date = day.known_date
        cross join first_arrival
        -- Of a life that a day gives no state any more there is nothing to tell from that day on.
        where life.state is not null
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
