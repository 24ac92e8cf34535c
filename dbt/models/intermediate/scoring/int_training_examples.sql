{{
    config(
        tags=["training"],
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["model_name", "account_id"],
    )
}}

{%- set first_day = first_training_day() %}
{%- set features = declared_features() | map(attribute="name") | list %}

-- Of published marts only, and of what is declared in macros/scoring_models.sql, which `segue models
-- compile` makes.
with
    models as (
        select
            model.model_name,
            model.event_name,
            model.within_days,
            model.feature_days_apart,
            model.negative_buckets,
            model.most_examples,
            model.experiment_id,
            model.learned_from_date,
            model.learned_to_date,
            model.held_back_from_date,
            model.newest_date
        from
            unnest(
                array<
                    struct<
                        model_name string,
                        event_name string,
                        within_days int64,
                        feature_days_apart int64,
                        negative_buckets int64,
                        most_examples int64,
                        experiment_id string,
                        learned_from_date date,
                        learned_to_date date,
                        held_back_from_date date,
                        newest_date date
                    >
                >[
                    {%- for model in declared_models() %}
                        {%- set days = training_days(model) %}
                        (
                            '{{ model.name }}',
                            '{{ model.event }}',
                            {{ model.within_days }},
                            {{ model.every }},
                            {{ model.negative_buckets }},
                            {{ model.most_examples }},
                            {{ text_or_null(model.experiment) }},
                            date '{{ days.learned_from }}',
                            date '{{ days.learned_to }}',
                            date '{{ days.held_back_from }}',
                            date '{{ days.newest }}'
                        ){{ "," if not loop.last }}
                    {%- endfor %}
                ]
            ) as model
    ),

    -- All marts of a day are published together, and this one is small.
    published_days as (
        select distinct snapshot_date as published_date
        from {{ source("published", "agg_subscribers_daily") }}
        where snapshot_date between date '{{ first_day }}' and {{ as_of_day() }}
    ),

    -- An outcome is known where every day was published on which it may have happened: a missing day would
    -- make negatives of all to whom it happened then.
    feature_days as (
        select
            model.model_name,
            model.event_name,
            model.within_days,
            model.experiment_id,
            model.negative_buckets,
            feature_date,
            feature_date >= model.held_back_from_date as is_held_back
        from models as model
        cross join unnest(generate_date_array(model.learned_from_date, model.newest_date)) as feature_date
        inner join
            published_days as day
            on day.published_date > feature_date
            and day.published_date <= date_add(feature_date, interval model.within_days day)
        where
            (feature_date <= model.learned_to_date or feature_date >= model.held_back_from_date)
            -- A unit of an experiment is an example once, on whichever day it came by.
            and (
                model.experiment_id is not null
                or mod(date_diff(model.newest_date, feature_date, day), model.feature_days_apart) = 0
            )
        group by
            model.model_name,
            model.event_name,
            model.within_days,
            model.experiment_id,
            model.negative_buckets,
            feature_date,
            model.held_back_from_date
        having count(*) = model.within_days
    ),

    -- Who may be learned from: who was merged or erased since, asked for it, or took back consent, is in no
    -- example of any day.
    standing as (
        select account_id
        from {{ source("published", "fct_account_features") }}
        where
            feature_date = {{ as_of_day() }}
            and not is_test_account
            and not is_deletion_requested
            and not is_personalisation_withdrawn
    ),

    -- Once for each model of whose population the account was.
    memberships as (
        select
            {%- for feature in features %} {{ feature }}, {%- endfor %} feature_date, account_id, model_name
        from {{ source("published", "fct_account_features") }}
        cross join
            unnest(
                [
                    {% for model in declared_models() %}
                        '{{ model.name }}'{{ ", " if not loop.last }}
                    {% endfor %}
                ]
            ) as model_name
        where
            feature_date in ({{ training_day_literals() }})
            and not is_test_account
            and not is_deletion_requested
            and case
                model_name
                {%- for model in declared_models() %}
                    when '{{ model.name }}' then {{ model.population }}
                {%- endfor %}
            end
    ),

    population as (
        select
            account.*,
            day.event_name,
            day.within_days,
            day.experiment_id,
            day.negative_buckets,
            day.is_held_back
        from memberships as account
        inner join
            feature_days as day
            on account.model_name = day.model_name
            and account.feature_date = day.feature_date
        inner join standing on account.account_id = standing.account_id
    ),

    -- Variants of the trials that uplifts are learned from.
    arms as (
        select arm.model_name, arm.variant, arm.is_treated
        from
            unnest(
                array<struct<model_name string, variant string, is_treated bool>>[
                    {%- for arm in declared_arms() %}
                        (
                            '{{ arm.model }}', '{{ arm.variant }}', {{ arm.is_treated }}
                        ){{ "," if not loop.last }}
                    {%- endfor %}
                ]
            ) as arm
    ),

    -- The features of the day before are the last that nothing of the trial has touched.
    exposures as (
        select
            experiment_id,
            account_id,
            variant,
            exposed_at,
            date_sub(exposure_date, interval 1 day) as feature_date
        from {{ source("published", "fct_experiment_exposure") }}
        where
            exposure_date between date '{{ moved_day(first_day, 1) }}' and {{ as_of_day() }}
            and not is_excluded
    ),

    units as (
        select account.*, exposure.exposed_at, arm.is_treated
        from population as account
        left join
            exposures as exposure
            on account.experiment_id = exposure.experiment_id
            and account.account_id = exposure.account_id
            and account.feature_date = exposure.feature_date
        left join arms as arm on account.model_name = arm.model_name and exposure.variant = arm.variant
        where account.experiment_id is null or arm.is_treated is not null
    ),

    events as (
        {%- for event in predicted_events().values() %}
            select
                '{{ event.name }}' as event_name,
                {{ event.account }} as account_id,
                {{ event.day }} as event_date,
                {{ event.at or "cast(null as timestamp)" }} as event_at
            from {{ source("published", event.mart) }}
            where
                {{ event.partition }}
                between date '{{ moved_day(first_day, -event.reach_days - var("unheard_days")) }}'
                and {{ as_of_day() }}
                and {{ event.condition }}
                {{ "union all" if not loop.last }}
        {%- endfor %}
    ),

    -- To whom it happened before the offer, or so shortly before the end of the day that its features may not
    -- know, that is no example: nothing was left to predict.
    happened as (
        select
            unit.model_name,
            unit.account_id,
            unit.feature_date,
            logical_or(event.event_date > unit.feature_date) as is_outcome,
            logical_or(
                event.event_date <= unit.feature_date or coalesce(event.event_at < unit.exposed_at, false)
            ) as has_happened_already
        from units as unit
        inner join
            events as event
            on unit.event_name = event.event_name
            and unit.account_id = event.account_id
            and event.event_date > date_sub(unit.feature_date, interval {{ var("unheard_days") }} day)
            and event.event_date <= date_add(unit.feature_date, interval unit.within_days day)
        group by unit.model_name, unit.account_id, unit.feature_date
    ),

    -- Days on which others became the account: what they did would count as its own.
    mergers as (
        select distinct resolved_account_id as account_id, valid_from_date as merged_date
        from {{ source("published", "dim_account") }}
        where
            account_id != resolved_account_id
            and valid_from_date > date '{{ first_day }}'
            and valid_from_date <= {{ as_of_day() }}
    ),

    merged_since as (
        select distinct unit.model_name, unit.account_id, unit.feature_date
        from units as unit
        inner join
            mergers as merger
            on unit.account_id = merger.account_id
            and merger.merged_date > unit.feature_date
            and merger.merged_date <= date_add(unit.feature_date, interval unit.within_days day)
    ),

    examples as (
        select unit.*, coalesce(event.is_outcome, false) as outcome
        from units as unit
        left join
            happened as event
            on unit.model_name = event.model_name
            and unit.account_id = event.account_id
            and unit.feature_date = event.feature_date
        left join
            merged_since as merger
            on unit.model_name = merger.model_name
            and unit.account_id = merger.account_id
            and unit.feature_date = merger.feature_date
        where merger.account_id is null and not coalesce(event.has_happened_already, false)
    ),

    drawn as (
        select
            *,
            -- Of the examples without the event a share stands for all.
            if(outcome or is_held_back, cast(1 as float64), 10000 / negative_buckets) as weight
        from examples
        where
            outcome
            or is_held_back
            or {{ account_bucket("concat(model_name, ':', cast(feature_date as string))") }}
            < negative_buckets
    ),

    counts as (select model_name, count(*) as example_count from drawn group by model_name),

    -- A training holds all of them in memory. Whole accounts are drawn, events or not, so that every share
    -- stays.
    bounds as (
        select counted.model_name, 10000 * model.most_examples / counted.example_count as account_buckets
        from counts as counted
        inner join models as model on counted.model_name = model.model_name
    )

select
    example.model_name,
    example.feature_date,
    example.account_id,
    example.outcome,
    example.is_treated,
    example.is_held_back,
    example.weight,
    {%- for feature in features %} example.{{ feature }}{{ "," if not loop.last }} {%- endfor %}
from drawn as example
inner join bounds as bound on example.model_name = bound.model_name
where {{ account_bucket("bound.model_name") }} < bound.account_buckets
