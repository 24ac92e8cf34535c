{{
    config(
        materialized="table",
        partition_by={"field": "known_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
        contract={"enforced": true},
        meta={"published": "arrivals", "built_from": "versions_from_date", "starts_at_checkpoint": true},
    )
}}

with
    known_events as ({{ canonical_events() }}),

    -- The lives that arrivals of a day touch are written down anew as known on that day …
    touched as (
        select distinct subscription_id, arrival_date as known_date
        from known_events
        where arrival_date between date '{{ versions_from_day() }}' and {{ as_of_day() }}
        {% if versions_from_day() == checkpoint_day() %}
            -- … and all of them on the first of the month.
            union distinct
            select distinct subscription_id, date '{{ checkpoint_day() }}'
            from known_events
            where arrival_date <= date '{{ checkpoint_day() }}'
        {% endif %}
    ),

    {{ subscription_lives() }}
