{{
    config(
        partition_by={"field": "journey_date", "data_type": "date", "granularity": "day"},
        cluster_by=["offer_id", "stage"],
        meta={
            "published": "days",
            "restates_days": var("journey_horizon_days"),
            "measures": ["journeys", "settled_journeys"],
        },
    )
}}

{#- Stage, the stage that it is a part of, when it is reached, since when that takes, and when it is settled. #}
{%- set stages = [
    ("impression", none, "opened_at", none, "is_mature"),
    ("click", "impression", "first_click_at", "opened_at", "is_mature"),
    ("checkout", "click", "first_checkout_at", "first_click_at", "is_mature"),
    ("checkout_start", "checkout", "checkout_start_at", "first_checkout_at", "is_mature"),
    ("start", "impression", "start_at", "opened_at", "is_mature"),
    ("trial", "impression", "trial_at", "opened_at", "is_mature"),
    ("trial_paid", "trial", "trial_paid_at", "trial_at", "is_closed"),
    ("paid", "impression", "credited_paid_at", "opened_at", "is_closed"),
    ("refund", "paid", "credited_refunded_at", "credited_paid_at", "is_closed"),
    ("chargeback", "paid", "credited_charged_back_at", "credited_paid_at", "is_closed"),
] %}
{%- set cell = "journey_date, offer_id, surface, market" %}

with
    -- What began, and what came of it, is credited to the last touch, so that it adds up over offers.
    credited as (
        select
            {{ cell }},
            is_mature,
            is_closed,
            opened_at,
            first_click_at,
            first_checkout_at,
            if(is_last_touch_conversion, converted_at, null) as start_at,
            if(is_last_touch_conversion, trial_started_at, null) as trial_at,
            if(is_last_touch_conversion, paid_at, null) as credited_paid_at,
            refunded_at,
            charged_back_at
        from {{ ref("fct_offer_journey") }}
        where {{ rebuilt_days("journey_date", var("journey_horizon_days")) }}
    ),

    journeys as (
        select
            * except (refunded_at, charged_back_at),
            -- A feed may know only the day of a start.
            if(date(first_checkout_at) <= date(start_at), start_at, null) as checkout_start_at,
            if(trial_at is null, null, credited_paid_at) as trial_paid_at,
            if(credited_paid_at is null, null, refunded_at) as credited_refunded_at,
            if(credited_paid_at is null, null, charged_back_at) as credited_charged_back_at
        from credited
    ),

    counts as (
        select
            {{ cell }},
            {%- for stage, _, reached_at, since_at, is_settled in stages %}
                countif({{ reached_at }} is not null) as {{ stage }}_journeys,
                countif({{ reached_at }} is not null and {{ is_settled }}) as {{ stage }}_settled,
                {%- if since_at %}
                    countif({{ since_at }} is not null) as {{ stage }}_from,
                    countif({{ since_at }} is not null and {{ is_settled }}) as {{ stage }}_settled_from,
                {%- endif %}
            {%- endfor %}
        from journeys
        group by {{ cell }}
    ),

    stages as (
        {%- for stage, from_stage, _, since_at, _ in stages %}
            select
                {{ cell }},
                {{ loop.index }} as stage_number,
                '{{ stage }}' as stage,
                {{ "'" ~ from_stage ~ "'" if from_stage else "cast(null as string)" }} as from_stage,
                {{ stage }}_journeys as journeys,
                {{ stage ~ "_from" if since_at else "cast(null as int64)" }} as from_journeys,
                {{ stage }}_settled as settled_journeys,
                {{ stage ~ "_settled_from" if since_at else "cast(null as int64)" }} as settled_from_journeys
            from counts {{ "union all" if not loop.last }}
        {%- endfor %}
    ),

    -- Of journeys that had time to reach a stage; a start of which only the day is known takes no time.
    durations as (
        {%- for _, from_stage, reached_at, since_at, is_settled in stages if from_stage %}
            select
                {{ cell }},
                {{ loop.index + 1 }} as stage_number,
                greatest(timestamp_diff({{ reached_at }}, {{ since_at }}, second), 0) as seconds
            from journeys
            where
                {{ reached_at }} is not null and {{ since_at }} is not null and {{ is_settled }}
                {{ "union all" if not loop.last }}
        {%- endfor %}
    ),

    ranked as (
        select
            *,
            row_number() over (partition by {{ cell }}, stage_number order by seconds) as place,
            count(*) over (partition by {{ cell }}, stage_number) as places
        from durations
    ),

    -- The nearest rank: a duration that occurred, and the same whatever the engine.
    times as (
        select
            {{ cell }},
            stage_number,
            min(if(place * 2 >= places, seconds, null)) as median_seconds,
            min(if(place * 10 >= places * 9, seconds, null)) as p90_seconds
        from ranked
        group by {{ cell }}, stage_number
    )

select
    stage.journey_date,
    stage.offer_id,
    stage.surface,
    stage.market,
    stage.stage_number,
    stage.stage,
    stage.from_stage,
    cast(stage.journeys as int64) as journeys,
    cast(stage.from_journeys as int64) as from_journeys,
    cast(stage.settled_journeys as int64) as settled_journeys,
    cast(stage.settled_from_journeys as int64) as settled_from_journeys,
    cast(stage.settled_from_journeys - stage.settled_journeys as int64) as settled_dropped_journeys,
    cast(times.median_seconds as int64) as median_seconds,
    cast(times.p90_seconds as int64) as p90_seconds
from stages as stage
left join
    times
    on stage.journey_date = times.journey_date
    and stage.offer_id = times.offer_id
    and stage.surface = times.surface
    and stage.market = times.market
    and stage.stage_number = times.stage_number
where stage.journeys > 0 or stage.from_journeys > 0
