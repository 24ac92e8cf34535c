{{
    config(
        partition_by={"field": "decision_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        meta={"published": "days", "restates_days": 0, "as_known_then": true},
    )
}}

-- What the rules say is in macros/offer_rules.sql, which `segue segments compile` makes of segments/rules.
-- A rule's outcome for an account is one INT64: a bit for each step that failed, the score and the rule.
with
    rules as (
        select
            rule.rule_number,
            rule.rule_id,
            rule.rule_version,
            rule.offer_id,
            rule.offer_reason,
            rule.priority,
            rule.exclusivity_group,
            rule.holdout_buckets,
            rule.holdout_salt,
            rule.experiment_id,
            rule.experiment_salt,
            rule.variants,
            rule.frequency_days,
            rule.max_impressions,
            rule.cool_down,
            rule.cool_down_days,
            rule.rule_cap,
            rule.content_id,
            rule.arm_entries,
            rule.min_content_version,
            rule.fallback_locale,
            rule.to_date
        from unnest({{ offer_rules() }}) as rule
    ),

    contents as (
        select
            feature_date,
            entry_id,
            locale,
            content_version,
            valid_until_at,
            case
                when not is_published
                then {{ step_bit("CONTENT_UNPUBLISHED") }}
                when
                    coalesce(valid_from_at > timestamp(date_add(feature_date, interval 1 day)), false)
                    or coalesce(valid_until_at <= timestamp(date_add(feature_date, interval 1 day)), false)
                then {{ step_bit("CONTENT_EXPIRED") }}
                else 0
            end as flaw
        from {{ ref("offer_contents") }}
        where {{ known_rebuilt_days("feature_date") }}
    ),

    arm_entries as (
        select rule.rule_number, rule.min_content_version, rule.fallback_locale, entry_id
        from rules as rule
        cross join unnest(rule.arm_entries) as entry_id
    ),

    -- What is written of them, in whatever language; a flaw of 0 is none.
    texts as (
        select
            content.feature_date,
            entry.rule_number,
            entry.entry_id,
            content.locale,
            content.locale = entry.fallback_locale as is_fallback,
            content.content_version,
            content.valid_until_at,
            if(
                content.flaw = 0 and content.content_version < entry.min_content_version,
                {{ step_bit("CONTENT_OUTDATED") }},
                content.flaw
            ) as flaw
        from arm_entries as entry
        inner join contents as content on entry.entry_id = content.entry_id
    ),

    locales as (select distinct feature_date, locale from contents),

    -- Who reads a locale in which nothing is written has no locale here, and is shown fallbacks.
    readers as (
        select feature_date, locale
        from locales
        union all
        select distinct feature_date, '' as locale
        from locales
    ),

    -- What a reader is shown of an entry: its own language, else the fallback's. Of two flaws the first
    -- counts.
    readings as (
        select
            reader.feature_date,
            entry.rule_number,
            reader.locale as reader_locale,
            entry.entry_id,
            if(own.flaw = 0, own.locale, fallback.locale) as content_locale,
            if(own.flaw = 0, own.content_version, fallback.content_version) as content_version,
            if(own.flaw = 0, own.valid_until_at, fallback.valid_until_at) as valid_until_at,
            if(
                own.flaw = 0 or fallback.flaw = 0,
                0,
                coalesce(own.flaw, fallback.flaw, {{ step_bit("CONTENT_MISSING") }})
            ) as flaw
        from arm_entries as entry
        cross join readers as reader
        left join
            texts as own
            on reader.feature_date = own.feature_date
            and entry.rule_number = own.rule_number
            and entry.entry_id = own.entry_id
            and reader.locale = own.locale
        left join
            texts as fallback
            on reader.feature_date = fallback.feature_date
            and entry.rule_number = fallback.rule_number
            and entry.entry_id = fallback.entry_id
            and fallback.is_fallback
    ),

    -- Every arm's entry counts for all, so that none is missing among the arms that are compared.
    content_flaws as (
        select feature_date, rule_number, reader_locale, bit_or(flaw) as content_bits
        from readings
        group by feature_date, rule_number, reader_locale
    ),

    accounts as (
        select *, {{ account_facts() }}, {{ served_until() }} as served_until_at
        from {{ ref("fct_account_features") }}
        where {{ known_rebuilt_days("feature_date") }}
    ),

    prepared as (select *, {{ shared_by_rules() }} from accounts),

    -- Every rule's outcome stands beside the others in the account's row …
    judged as (select *, {{ rule_outcomes() }} as outcomes from prepared),

    filtered as (
        select
            *,
            array(
                select outcome from unnest(outcomes) as outcome where {{ failed_bits("outcome") }} = 0
            ) as passed
        from judged
    ),

    -- … and becomes a row of its own only where no step has failed.
    passing as (
        select
            account.feature_date,
            account.account_id,
            coalesce(reader.locale, '') as reader_locale,
            account.offer_exposures,
            account.served_until_at,
            outcome,
            {{ rule_number("outcome") }} as rule_number,
            {{ score_points("outcome") }} as score_points
        from filtered as account
        cross join unnest(account.passed) as outcome
        left join
            readers as reader on account.feature_date = reader.feature_date and account.locale = reader.locale
    ),

    exposed as (
        select
            passing.* except (offer_exposures),
            rule.priority,
            rule.exclusivity_group,
            rule.holdout_buckets,
            rule.holdout_salt,
            rule.frequency_days,
            rule.max_impressions,
            rule.cool_down,
            rule.cool_down_days,
            rule.rule_cap,
            rule.content_id,
            rule.variants,
            if(
                rule.experiment_id is null, null, {{ account_bucket("rule.experiment_salt") }}
            ) as experiment_bucket,
            array(
                select exposure
                from unnest(passing.offer_exposures) as exposure
                where exposure.offer_id = rule.offer_id
            )[safe_offset(0)] as exposure
        from passing
        inner join rules as rule on passing.rule_number = rule.rule_number
    ),

    assigned as (
        select
            * except (variants, experiment_bucket),
            array(
                select variant
                from unnest(variants) as variant
                where experiment_bucket between variant.first_bucket and variant.last_bucket
            )[safe_offset(0)] as variant
        from exposed
    ),

    -- What the account's own arm would show; where that is fit, another arm's flaw counts.
    worded as (
        select
            assigned.* except (content_id),
            reading.entry_id as content_id,
            reading.content_version,
            reading.content_locale,
            reading.valid_until_at as content_valid_until_at,
            if(reading.flaw = 0, content.content_bits, reading.flaw) as content_bits
        from assigned
        left join
            readings as reading
            on assigned.feature_date = reading.feature_date
            and assigned.rule_number = reading.rule_number
            and assigned.reader_locale = reading.reader_locale
            and coalesce(assigned.variant.content_id, assigned.content_id) = reading.entry_id
        left join
            content_flaws as content
            on assigned.feature_date = content.feature_date
            and assigned.rule_number = content.rule_number
            and assigned.reader_locale = content.reader_locale
    ),

    -- What cannot be shown is no candidate, and takes no other's place.
    candidates as (
        select
            feature_date,
            account_id,
            served_until_at,
            rule_number,
            variant,
            content_id,
            content_version,
            content_locale,
            content_valid_until_at,
            priority,
            exclusivity_group,
            rule_cap,
            score_points,
            outcome
            + coalesce(content_bits, {{ step_bit("CONTENT_MISSING") }})
            + if(
                holdout_buckets > 0 and {{ account_bucket("holdout_salt") }} < holdout_buckets,
                {{ step_bit("LOCAL_HOLDOUT") }},
                0
            )
            + if(
                if(frequency_days = 7, exposure.impressions_7d, exposure.impressions_28d) >= max_impressions,
                {{ step_bit("FREQUENCY_REACHED") }},
                0
            )
            + if(
                date_diff(
                    feature_date,
                    case
                        cool_down
                        when 'shown'
                        then exposure.last_shown_date
                        when 'clicked'
                        then exposure.last_clicked_date
                        when 'converted'
                        then exposure.last_converted_date
                    end,
                    day
                )
                < cool_down_days,
                {{ step_bit("COOLING_DOWN") }},
                0
            ) as outcome
        from worded
    ),

    -- A control arm competes like the others and wins as a no-show.
    best_of_group as (
        select
            * except (outcome),
            outcome + if(
                {{ failed_bits("outcome") }} = 0
                and row_number() over (
                    partition by feature_date, account_id, exclusivity_group, {{ failed_bits("outcome") }} = 0
                    order by priority, score_points desc, rule_number
                )
                > 1,
                {{ step_bit("LOST_EXCLUSIVITY") }},
                0
            ) as outcome
        from candidates
    ),

    best_of_account as (
        select
            * except (outcome),
            outcome + if(
                {{ failed_bits("outcome") }} = 0
                and row_number() over (
                    partition by feature_date, account_id, {{ failed_bits("outcome") }} = 0
                    order by priority, score_points desc, rule_number
                )
                > {{ max_offers_per_account() }},
                {{ step_bit("ACCOUNT_CAP_REACHED") }},
                0
            ) as outcome
        from best_of_group
    ),

    -- Only for rules with a cap are accounts ranked against each other.
    best_of_rule as (
        select
            * except (outcome, is_capped),
            outcome + if(
                is_capped
                and row_number() over (
                    partition by
                        feature_date, if(is_capped, rule_number, null), if(is_capped, null, account_id)
                    order by score_points desc, account_id
                )
                > rule_cap,
                {{ step_bit("RULE_CAP_REACHED") }},
                0
            ) as outcome
        from
            (
                select *, {{ failed_bits("outcome") }} = 0 and rule_cap is not null as is_capped
                from best_of_account
            ) as ranked
    ),

    decided as (
        select
            candidate.feature_date,
            candidate.account_id,
            candidate.served_until_at,
            candidate.score_points,
            candidate.outcome,
            candidate.variant,
            candidate.content_id,
            candidate.content_version,
            candidate.content_locale,
            candidate.content_valid_until_at,
            rule.rule_id,
            rule.rule_version,
            rule.offer_id,
            rule.offer_reason,
            rule.priority,
            rule.experiment_id,
            rule.to_date
        from best_of_rule as candidate
        inner join rules as rule on candidate.rule_number = rule.rule_number
    ),

    offered as (
        select
            feature_date,
            account_id,
            array_agg(outcome order by outcome) as outcomes,
            array_agg(
                if(
                    {{ failed_bits("outcome") }} = 0,
                    struct(
                        offer_id as offer_id,
                        rule_id as rule_id,
                        rule_version as rule_version,
                        priority as priority,
                        {{ score_of("score_points") }} as score,
                        offer_reason as reason_code,
                        experiment_id as experiment_id,
                        variant.name as variant,
                        coalesce(variant.is_control, false) as is_control,
                        content_id as content_id,
                        content_version as content_version,
                        -- Never longer than the rule or the content.
                        least(
                            served_until_at,
                            coalesce(timestamp(date_add(to_date, interval 1 day)), timestamp '9999-12-31'),
                            coalesce(content_valid_until_at, timestamp '9999-12-31')
                        ) as valid_until_at,
                        content_locale as content_locale
                    ),
                    null
                ) ignore nulls
                order by priority, - score_points, rule_id
            ) as offers
        from decided
        group by feature_date, account_id
    ),

    -- What was refused at once, and behind it what became of the rules that competed.
    concluded as (
        select
            account.* except (outcomes),
            array_concat(
                array(
                    select outcome
                    from unnest(account.outcomes) as outcome
                    where {{ failed_bits("outcome") }} != 0
                ),
                coalesce(offered.outcomes, [])
            ) as outcomes,
            coalesce(offered.offers, []) as offers,
            names
        from judged as account
        left join
            offered on account.feature_date = offered.feature_date and account.account_id = offered.account_id
        cross join
            (
                select
                    array_agg(
                        struct(rule_id as rule_id, rule_version as rule_version) order by rule_number
                    ) as names
                from rules
            ) as book
    )

select
    feature_date as decision_date,
    account_id,
    market,
    is_traced,
    case
        when barred_bits != 0
        then {{ reason_code("barred_bits") }}
        when array_length(offers) > 0
        then null
        when is_marketing_withdrawn
        then {{ step_code("NO_CONSENT") }}
        when is_globally_held_out
        then {{ step_code("GLOBAL_HOLDOUT") }}
    end as suppressed_reason,
    is_globally_held_out,
    array(
        select as struct
            names[ordinal({{ rule_number("outcome") }})].rule_id as rule_id,
            names[ordinal({{ rule_number("outcome") }})].rule_version as rule_version,
            {{ reason_code("outcome") }} as reason_code,
            if(is_traced, {{ failed_steps("outcome") }}, null) as failed_steps
        from unnest(outcomes) as outcome
    ) as decisions,
    offers,
    served_until_at,
    array(
        select names[ordinal({{ rule_number("outcome") }})].rule_id
        from unnest(outcomes) as outcome
        where {{ failed_bits("outcome") }} = {{ step_bit("GLOBAL_HOLDOUT") }}
    ) as globally_held_out_rules
from concluded
