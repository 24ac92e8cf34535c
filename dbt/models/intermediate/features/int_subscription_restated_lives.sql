{{ config(cluster_by=["subscription_id"]) }}

with
    known_events as ({{ canonical_events() }}),

    restating_arrivals as (
        select distinct subscription_id, arrival_date as known_date
        from known_events
        where arrival_date between {{ start_day(1) }} and {{ as_of_day() }}
    ),

    -- What arrived after the run's first day must not be known on days before: these lives are written
    -- down as known on each of their arrival days, and on the first day of the run.
    touched as (
        select subscription_id, known_date
        from restating_arrivals
        union distinct
        select event.subscription_id, {{ start_day() }} as known_date
        from known_events as event
        inner join restating_arrivals as restated on event.subscription_id = restated.subscription_id
        where event.arrival_date <= {{ start_day() }}
    ),

    {{ subscription_lives() }}
where state is not null
