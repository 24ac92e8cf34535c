with
    -- What the rules say, but for their predicates.
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
            rule.min_content_version,
            rule.fallback_locale,
            rule.to_date
        from
            unnest([[rule_type]][
                [[rules]]
            ]) as rule
    ),

    accounts as (
        select
            *,
            [[models]]
            [[is_traced]] as is_traced,
            [[global_holdout]] as is_globally_held_out,
            [[account_bits]] as account_bits
        from [[features]]
        where [[days]]
    ),

    -- One INT64 a rule: the score points, and a bit for every step that fails.
    outcomes as (
        select
            feature_date,
            account_id,
            market,
            locale,
            is_traced,
            is_globally_held_out,
            is_marketing_withdrawn,
            account_bits,
            offer_exposures,
            [
            [[outcomes]]
            ] as outcomes
        from accounts
    ),

    unfolded as (
        select
            account.feature_date,
            account.account_id,
            account.market,
            account.locale,
            account.is_traced,
            account.is_globally_held_out,
            account.is_marketing_withdrawn,
            account.account_bits,
            account.offer_exposures,
            place as rule_number,
            outcome & 65535 as failed_bits,
            outcome >> 16 as score_points
        from outcomes as account
        cross join unnest(account.outcomes) as outcome with offset as place
    ),

    reasoned as (
        select
            unfolded.*,
            rule.rule_id,
            rule.rule_version,
            [[first_reason]] as reason_code,
            if(is_traced, [[failed_steps]], null) as failed_steps
        from unfolded
        inner join rules as rule on unfolded.rule_number = rule.rule_number
    ),

    -- What was refused is done with; what passed competes.
    folded as (
        select
            feature_date,
            account_id,
            any_value(market) as market,
            any_value(locale) as locale,
            any_value(is_traced) as is_traced,
            any_value(is_globally_held_out) as is_globally_held_out,
            any_value(is_marketing_withdrawn) as is_marketing_withdrawn,
            any_value(account_bits) as account_bits,
            any_value(offer_exposures) as offer_exposures,
            array_agg(
                if(
                    failed_bits != 0,
                    struct(
                        rule_id as rule_id,
                        rule_version as rule_version,
                        reason_code as reason_code,
                        failed_steps as failed_steps
                    ),
                    null
                ) ignore nulls
                order by rule_number
            ) as refused,
            array_agg(
                if(
                    failed_bits = 0,
                    struct(rule_number as rule_number, score_points as score_points),
                    null
                ) ignore nulls
            ) as accepted
        from reasoned
        group by feature_date, account_id
    ),

    -- One row for each rule that an account passed, and one for an account that passed none.
    passing as (
        select
            account.feature_date,
            account.account_id,
            account.market,
            account.locale,
            account.is_traced,
            account.is_globally_held_out,
            account.is_marketing_withdrawn,
            account.account_bits,
            account.refused,
            account.offer_exposures,
            passed.rule_number as passed_number,
            passed.score_points
        from folded as account
        left join unnest(account.accepted) as passed
    ),

    ruled as (
        select passing.*, rule.*
        from passing
        left join rules as rule on passing.passed_number = rule.rule_number
    ),

    exposed as (
        select
            ruled.*,
            exposure.impressions_7d,
            exposure.impressions_28d,
            exposure.last_shown_date,
            exposure.last_clicked_date,
            exposure.last_converted_date
        from ruled
        left join unnest(ruled.offer_exposures) as exposure on exposure.offer_id = ruled.offer_id
    ),

    bucketed as (
        select
            *,
            [[local_holdout]] as is_locally_held_out,
            [[experiment_bucket]] as experiment_bucket
        from exposed
    ),

    candidates as (
        select
            bucketed.* except (variants, offer_exposures, content_id),
            variant.name as variant,
            coalesce(variant.is_control, false) as is_control,
            coalesce(variant.content_id, bucketed.content_id) as content_id,
            coalesce(
                if(frequency_days = 7, impressions_7d, impressions_28d) >= max_impressions, false
            ) as is_shown_enough,
            coalesce(
                date_diff(
                    feature_date,
                    case
                        cool_down
                        when 'shown'
                        then last_shown_date
                        when 'clicked'
                        then last_clicked_date
                        when 'converted'
                        then last_converted_date
                    end,
                    day
                )
                < cool_down_days,
                false
            ) as is_cooling_down
        from bucketed
        left join
            unnest(bucketed.variants) as variant
            on bucketed.experiment_bucket between variant.first_bucket and variant.last_bucket
    ),

    rested as (
        select
            *,
            case
                when is_locally_held_out
                then 'LOCAL_HOLDOUT'
                when is_shown_enough
                then 'FREQUENCY_REACHED'
                when is_cooling_down
                then 'COOLING_DOWN'
            end as refusal,
            if(
                is_traced,
                coalesce(
                    array_to_string(
                        [
                            if(is_locally_held_out, 'LOCAL_HOLDOUT', null),
                            if(is_shown_enough, 'FREQUENCY_REACHED', null),
                            if(is_cooling_down, 'COOLING_DOWN', null)
                        ],
                        ','
                    ),
                    ''
                ),
                null
            ) as candidate_failed_steps
        from candidates
    ),

    -- A control arm competes like the others and wins as a no-show.
    grouped as (
        select
            * except (refusal),
            if(
                refusal is null
                and row_number() over (
                    partition by feature_date, account_id, exclusivity_group, refusal is null
                    order by priority, score_points desc, rule_id
                )
                > 1,
                'LOST_EXCLUSIVITY',
                refusal
            ) as refusal
        from rested
    ),

    capped_by_account as (
        select
            * except (refusal),
            if(
                refusal is null
                and row_number() over (
                    partition by feature_date, account_id, refusal is null
                    order by priority, score_points desc, rule_id
                )
                > [[max_offers]],
                'ACCOUNT_CAP_REACHED',
                refusal
            ) as refusal
        from grouped
    ),

    -- Only rules with a cap rank accounts against each other.
    capped_by_rule as (
        select
            * except (refusal),
            if(
                refusal is null
                and rule_cap is not null
                and row_number() over (
                    partition by
                        feature_date, rule_id, if(refusal is null and rule_cap is not null, null, account_id)
                    order by score_points desc, account_id
                )
                > rule_cap,
                'RULE_CAP_REACHED',
                refusal
            ) as refusal
        from capped_by_account
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
                then 'CONTENT_UNPUBLISHED'
                when
                    coalesce(valid_from_at > timestamp(date_add(feature_date, interval 1 day)), false)
                    or coalesce(valid_until_at <= timestamp(date_add(feature_date, interval 1 day)), false)
                then 'CONTENT_EXPIRED'
            end as flaw
        from [[contents]]
        where [[days]]
    ),

    -- In the account's own language, else in the fallback's.
    worded as (
        select
            candidate.*,
            own.entry_id is not null as has_own,
            own.content_version as own_version,
            own.valid_until_at as own_valid_until_at,
            coalesce(
                own.flaw,
                if(own.content_version < candidate.min_content_version, 'CONTENT_OUTDATED', null)
            ) as own_flaw,
            fallback.entry_id is not null as has_fallback,
            fallback.content_version as fallback_version,
            fallback.valid_until_at as fallback_valid_until_at,
            coalesce(
                fallback.flaw,
                if(fallback.content_version < candidate.min_content_version, 'CONTENT_OUTDATED', null)
            ) as fallback_flaw
        from capped_by_rule as candidate
        left join
            contents as own
            on candidate.feature_date = own.feature_date
            and candidate.content_id = own.entry_id
            and candidate.locale = own.locale
        left join
            contents as fallback
            on candidate.feature_date = fallback.feature_date
            and candidate.content_id = fallback.entry_id
            and candidate.fallback_locale = fallback.locale
    ),

    decided as (
        select
            *,
            has_own and own_flaw is null as is_own_shown,
            case
                when refusal is not null
                then refusal
                when (has_own and own_flaw is null) or (has_fallback and fallback_flaw is null)
                then 'SELECTED'
                else coalesce(own_flaw, fallback_flaw, 'CONTENT_MISSING')
            end as reason_code
        from worded
    ),

    offered as (
        select
            feature_date as decision_date,
            account_id,
            any_value(market) as market,
            any_value(is_traced) as is_traced,
            any_value(is_globally_held_out) as is_globally_held_out,
            any_value(is_marketing_withdrawn) as is_marketing_withdrawn,
            any_value(account_bits) as account_bits,
            any_value(refused) as refused,
            [[served_until]] as served_until_at,
            array_agg(
                if(
                    rule_id is not null,
                    struct(
                        rule_id as rule_id,
                        rule_version as rule_version,
                        reason_code as reason_code,
                        candidate_failed_steps as failed_steps
                    ),
                    null
                ) ignore nulls
                order by rule_number
            ) as judged,
            array_agg(
                if(
                    rule_id is not null and reason_code = 'SELECTED',
                    struct(
                        offer_id as offer_id,
                        rule_id as rule_id,
                        rule_version as rule_version,
                        priority as priority,
                        score_points / 10000 as score,
                        offer_reason as reason_code,
                        experiment_id as experiment_id,
                        variant as variant,
                        is_control as is_control,
                        content_id as content_id,
                        if(is_own_shown, own_version, fallback_version) as content_version,
                        -- Never longer than the rule or the content.
                        least(
                            [[served_until]],
                            coalesce(
                                timestamp(date_add(to_date, interval 1 day)), timestamp '9999-12-31'
                            ),
                            coalesce(
                                if(is_own_shown, own_valid_until_at, fallback_valid_until_at),
                                timestamp '9999-12-31'
                            )
                        ) as valid_until_at,
                        if(is_own_shown, locale, fallback_locale) as content_locale
                    ),
                    null
                ) ignore nulls
                order by priority, -score_points, rule_id
            ) as offers
        from decided
        group by feature_date, account_id
    )

select
    decision_date,
    account_id,
    market,
    is_traced,
    case
        when (account_bits & 1) != 0
        then 'DELETION_REQUESTED'
        when (account_bits & 2) != 0
        then 'LEGAL_BLOCK'
        when (account_bits & 4) != 0
        then 'TEST_ACCOUNT'
        when array_length(coalesce(offers, [])) > 0
        then null
        when is_marketing_withdrawn
        then 'NO_CONSENT'
        when is_globally_held_out
        then 'GLOBAL_HOLDOUT'
    end as suppressed_reason,
    is_globally_held_out,
    array_concat(coalesce(refused, []), coalesce(judged, [])) as decisions,
    coalesce(offers, []) as offers,
    served_until_at
from offered
