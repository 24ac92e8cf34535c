{{ config(cluster_by=["experiment_id", "account_id"]) }}

{%- set first_day = first_experiment_day() %}

with
    experiments as (
        select
            declared.experiment_id,
            declared.experiment_version,
            declared.rule_id,
            declared.salt,
            declared.control,
            declared.start_date,
            declared.end_date
        from {{ experiment_rows() }} as declared
    ),

    variants as (
        select arm.experiment_id, arm.variant, arm.first_bucket, arm.last_bucket
        from {{ experiment_variant_rows() }} as arm
    ),

    impressions as (
        select *
        from
            (
                {{
                    history_rows(
                        "int_experiment_impressions",
                        "arrival_date",
                        latest_of(moved_day(first_day, -1), var("history_start_date")),
                    )
                }}
            )
        where true
        qualify row_number() over (partition by impression_id order by arrival_date) = 1
    ),

    -- Exposures belong to accounts that are known and not excluded, as journeys do.
    logged as (
        select
            impression.experiment_id,
            account.resolved_account_id as account_id,
            coalesce(impression.variant, 'none') as variant,
            impression.is_shown,
            impression.occurred_at as exposed_at,
            impression.impression_id as tie,
            impression.surface,
            account.resolved_market as market,
            impression.rule_id,
            impression.offer_id,
            impression.decision_id,
            impression.generation
        from impressions as impression
        inner join
            experiments as experiment
            on impression.experiment_id = experiment.experiment_id
            and date(impression.occurred_at) between experiment.start_date and experiment.end_date
        inner join
            {{ ref("int_account_versions") }} as account
            on impression.account_id = account.account_id
            and {{ valid_on("account", "date(impression.occurred_at)") }}
        where not account.is_resolved_test_account and impression.occurred_at < timestamp({{ as_of_day(1) }})
    ),

    -- What is decided of a day is served from the next one on.
    decided as (
        select
            decision.experiment_id,
            decision.account_id,
            decision.variant,
            decision.is_held_back,
            timestamp(date_add(decision.decision_date, interval 1 day)) as exposed_at,
            cast(decision.decision_date as string) as tie,
            decision.market,
            decision.rule_id,
            decision.offer_id
        from ({{ experiment_decisions(moved_day(first_day, -1)) }}) as decision
        inner join
            experiments as experiment
            on decision.experiment_id = experiment.experiment_id
            and date_add(decision.decision_date, interval 1 day)
            between experiment.start_date and experiment.end_date
    ),

    -- Whether the surfaces tell of control as of the others: of what was held back, that it would have been
    -- shown; of a control that is shown something, that it was.
    control_logs as (
        select logged.experiment_id, logical_or(not logged.is_shown) as has_no_shows
        from logged
        inner join
            experiments as experiment
            on logged.experiment_id = experiment.experiment_id
            and logged.variant = experiment.control
        group by logged.experiment_id
    ),

    decision_logs as (
        select experiment_id, logical_or(is_held_back) as holds_back from decided group by experiment_id
    ),

    sourced as (
        select
            experiment.*,
            if(
                experiment.rule_id is null
                and not starts_with(experiment.experiment_id, 'holdout-')
                or coalesce(control_log.has_no_shows, false)
                or (control_log.experiment_id is not null and not coalesce(decision_log.holds_back, true)),
                'surface',
                'decision'
            ) as exposure_source
        from experiments as experiment
        left join control_logs as control_log on experiment.experiment_id = control_log.experiment_id
        left join decision_logs as decision_log on experiment.experiment_id = decision_log.experiment_id
    ),

    exposures as (
        select
            experiment_id,
            account_id,
            variant,
            exposed_at,
            tie,
            surface,
            market,
            rule_id,
            offer_id,
            decision_id,
            generation,
            'surface' as exposure_source
        from logged
        union all
        select
            experiment_id,
            account_id,
            variant,
            exposed_at,
            tie,
            cast(null as string),
            market,
            rule_id,
            offer_id,
            cast(null as string),
            cast(null as int64),
            'decision'
        from decided
    ),

    ranked as (
        select
            exposure.*,
            experiment.experiment_version,
            experiment.salt,
            experiment.control,
            experiment.start_date,
            count(*) over experiment_account as exposures,
            first_value(exposure.variant) over (
                partition by exposure.experiment_id, exposure.account_id
                order by exposure.exposed_at, exposure.tie
            ) as first_variant,
            row_number() over (
                partition by exposure.experiment_id, exposure.account_id
                order by exposure.exposed_at, exposure.tie
            ) as place
        from exposures as exposure
        inner join
            sourced as experiment
            on exposure.experiment_id = experiment.experiment_id
            and exposure.exposure_source = experiment.exposure_source
        window experiment_account as (partition by exposure.experiment_id, exposure.account_id)
    ),

    -- When an account was first seen in another arm than its own.
    crossings as (
        select experiment_id, account_id, min(exposed_at) as crossed_at
        from ranked
        where variant != first_variant
        group by experiment_id, account_id
    ),

    firsts as (
        select * except (place, first_variant), {{ account_bucket("salt") }} as bucket
        from ranked
        where place = 1
    ),

    openings as (
        select account_id, offer_id, occurred_at
        from
            (
                {{
                    history_rows(
                        "int_subscription_events",
                        "arrival_date",
                        first_day,
                        columns="account_id, offer_id, event_type, occurred_at",
                    )
                }}
            )
        where offer_id is not null and event_type in ('trial_started', 'started', 'reactivated')
    ),

    takings as (
        select account_id, offer_id, occurred_at
        from {{ ref("stg_merchandising__completed_checkouts") }}
        union all
        select account_id, offer_id, occurred_at
        from openings
    ),

    -- Whoever took the offer before the experiment showed it to them has nothing left to be won for.
    first_takings as (
        select
            unit.experiment_id,
            unit.account_id,
            logical_or(taking.occurred_at < unit.exposed_at) as has_converted_before
        from takings as taking
        inner join
            {{ ref("int_account_versions") }} as account
            on taking.account_id = account.account_id
            and {{ valid_on("account", "date(taking.occurred_at)") }}
        inner join
            firsts as unit
            on account.resolved_account_id = unit.account_id
            and taking.offer_id = unit.offer_id
            and taking.occurred_at >= timestamp(unit.start_date)
        group by unit.experiment_id, unit.account_id
    ),

    judged as (
        select
            unit.*,
            hashed.variant as hashed_variant,
            declared.variant is not null as is_declared_variant,
            coalesce(taking.has_converted_before, false) as has_converted_before,
            crossing.crossed_at
        from firsts as unit
        left join
            crossings as crossing
            on unit.experiment_id = crossing.experiment_id
            and unit.account_id = crossing.account_id
        left join
            variants as hashed
            on unit.experiment_id = hashed.experiment_id
            and unit.bucket between hashed.first_bucket and hashed.last_bucket
        left join
            variants as declared
            on unit.experiment_id = declared.experiment_id
            and unit.variant = declared.variant
        left join
            first_takings as taking
            on unit.experiment_id = taking.experiment_id
            and unit.account_id = taking.account_id
    ),

    reasoned as (
        select
            *,
            -- What is known from the beginning comes first, so that no later day changes the reason.
            case
                when not is_declared_variant
                then 'unknown_variant'
                when has_converted_before
                then 'converted_before'
                when crossed_at is not null
                then 'two_variants'
            end as exclusion_reason
        from judged
    )

select
    date(exposed_at) as exposure_date,
    experiment_id,
    experiment_version,
    account_id,
    variant,
    variant = control as is_control,
    exposed_at,
    exposure_source,
    exposures,
    surface,
    market,
    rule_id,
    decision_id,
    generation,
    hashed_variant,
    variant != hashed_variant as is_variant_mismatch,
    exclusion_reason is not null as is_excluded,
    exclusion_reason,
    if(
        exclusion_reason = 'two_variants', crossed_at, if(exclusion_reason is null, null, exposed_at)
    ) as excluded_at
from reasoned
