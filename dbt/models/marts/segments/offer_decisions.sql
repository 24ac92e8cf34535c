-- fmt: off
-- Made by `segue segments compile` from segments/rules; edit those.
{{
    config(
        partition_by={"field": "decision_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        meta={"published": "days", "restates_days": 0},
    )
}}

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
            unnest(array<struct<rule_number int64, rule_id string, rule_version int64, offer_id string, offer_reason string, priority int64, exclusivity_group string, holdout_buckets int64, holdout_salt string, experiment_id string, experiment_salt string, variants array<struct<name string, first_bucket int64, last_bucket int64, is_control bool, content_id string>>, frequency_days int64, max_impressions int64, cool_down string, cool_down_days int64, rule_cap int64, content_id string, min_content_version int64, fallback_locale string, to_date date>>[
                (0, 'annual_switch', 1, 'annual-switch', 'LOYAL_MONTHLY_PAYER', 30, 'upgrade', 0, 'holdout:annual_switch', 'annual-discount-2026', 'annual-discount-2026', [('control', 0, 1999, true, 'annual-switch'), ('two_months', 2000, 5999, false, 'annual-switch'), ('three_months', 6000, 9999, false, 'annual-switch-deep')], 28, 8, null, null, null, 'annual-switch', 1, 'en-US', null),
                (1, 'cancel_save', 1, 'stay-discount', 'CANCELLED_STILL_ENTITLED', 9, 'save', 500, 'holdout:cancel_save', null, null, [], 7, 6, 'converted', 28, null, 'stay-discount', 1, 'en-US', null),
                (2, 'duo_upgrade', 1, 'duo-upgrade', 'SHARED_LISTENING', 34, 'upgrade', 0, 'holdout:duo_upgrade', null, null, [], 28, 6, 'clicked', 14, null, 'duo-upgrade', 1, 'en-US', null),
                (3, 'family_upgrade', 1, 'family-upgrade', 'HOUSEHOLD_IS_FULL', 32, 'upgrade', 0, 'holdout:family_upgrade', null, null, [], 28, 6, 'clicked', 14, null, 'family-upgrade', 1, 'en-US', null),
                (4, 'grace_payment_nudge', 1, 'payment-nudge', 'PAYMENT_FAILED', 1, 'rule:grace_payment_nudge', 0, 'holdout:grace_payment_nudge', null, null, [], null, null, null, null, null, 'payment-nudge', 1, 'en-US', null),
                (5, 'price_change_save', 1, 'price-hold', 'PRICE_RAISED', 6, 'save', 500, 'holdout:price_change_save', null, null, [], 7, 6, 'converted', 28, 50000, 'price-hold', 1, 'en-US', null),
                (6, 'student_verify', 1, 'student-verify', 'LIKELY_STUDENT', 25, 'acquisition', 0, 'holdout:student_verify', null, null, [], 28, 12, 'clicked', 7, null, 'student-verify', 1, 'en-US', null),
                (7, 'trial_ending_convert', 1, 'trial-convert', 'TRIAL_WILL_NOT_RENEW', 8, 'save', 0, 'holdout:trial_ending_convert', null, null, [], 7, 5, null, null, null, 'trial-convert', 1, 'en-US', null),
                (8, 'trial_for_engaged_free', 1, 'trial-30-days', 'ENGAGED_FREE_LISTENER', 20, 'acquisition', 100, 'holdout:trial_for_engaged_free', 'trial-length-2026', 'trial-length-2026', [('control', 0, 999, true, 'trial-30-days'), ('thirty_days', 1000, 9999, false, 'trial-30-days')], 28, 20, 'converted', 28, null, 'trial-30-days', 1, 'en-US', null),
                (9, 'winback_dormant', 1, 'winback-6-months', 'DORMANT_PAYER', 12, 'acquisition', 0, 'holdout:winback_dormant', null, null, [], 28, 6, 'clicked', 14, null, 'winback-6-months', 1, 'en-US', null),
                (10, 'winback_payment_failure', 1, 'update-card-return', 'LAPSED_BY_PAYMENT', 5, 'acquisition', 0, 'holdout:winback_payment_failure', null, null, [], 28, 10, null, null, null, 'update-card-return', 1, 'en-US', null),
                (11, 'winback_recent', 1, 'winback-3-months', 'LAPSED_PAYER', 10, 'acquisition', 200, 'holdout:winback_recent', null, null, [], 28, 15, 'converted', 28, null, 'winback-3-months', 1, 'en-US', null)
            ]) as rule
    ),

    accounts as (
        select
            *,
            (select max(given.score_points) from unnest(model_scores) as given where given.model = 'churn_risk') as points_of_churn_risk,
            (select max(given.scored_date) from unnest(model_scores) as given where given.model = 'churn_risk') as scored_date_of_churn_risk,
            (select max(given.score_points) from unnest(model_scores) as given where given.model = 'household_size') as points_of_household_size,
            (select max(given.scored_date) from unnest(model_scores) as given where given.model = 'household_size') as scored_date_of_household_size,
            (select max(given.score_points) from unnest(model_scores) as given where given.model = 'trial_propensity') as points_of_trial_propensity,
            (select max(given.scored_date) from unnest(model_scores) as given where given.model = 'trial_propensity') as scored_date_of_trial_propensity,
            (select max(given.score_points) from unnest(model_scores) as given where given.model = 'winback_propensity') as points_of_winback_propensity,
            (select max(given.scored_date) from unnest(model_scores) as given where given.model = 'winback_propensity') as scored_date_of_winback_propensity,
            mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', 'trace'))), 1, 12)) as int64), 10000) < 100 as is_traced,
            mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', 'program-2026'))), 1, 12)) as int64), 10000) < 200 as is_globally_held_out,
            if(is_deletion_requested, 1, 0) + if(is_test_account, 4, 0) as account_bits
        from {{ ref("fct_account_features") }}
        where {{ rebuilt_days("feature_date") }}
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
            -- annual_switch
            65536 * (div((80 * coalesce(least(10000, div(10000 * greatest(0, subscription_tenure_days - 0), 365)), 0) + 20 * coalesce(least(10000, div(10000 * greatest(0, active_days_28d - 0), 28)), 0)), 100)) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(not is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not (coalesce(plan_kind in ('individual') and billing_interval in ('month'), false)), 128, 0) + if(not ((coalesce(is_payer, false) and coalesce(is_paid, false) and coalesce(not is_in_grace, false) and coalesce(is_auto_renew, false) and coalesce(subscription_tenure_days >= 30, false))), 256, 0),
            -- cancel_save
            65536 * (if(coalesce(scored_date_of_churn_risk > date_sub(feature_date, interval 7 day), false), points_of_churn_risk, div((60 * coalesce(least(10000, div(10000 * greatest(0, subscription_tenure_days - 30), 700)), 0) + 40 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 0), 800)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(not is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not (coalesce(plan_kind in ('individual', 'duo', 'family', 'basic', 'student'), false)), 128, 0) + if(not ((coalesce(is_payer, false) and coalesce(is_paid, false) and coalesce(not is_in_grace, false) and coalesce(has_cancelled, false) and coalesce(subscription_started_date <= date_sub(feature_date, interval 30 day), false))), 256, 0),
            -- duo_upgrade
            65536 * (if(coalesce(scored_date_of_household_size > date_sub(feature_date, interval 28 day), false), points_of_household_size, div((70 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 500), 1500)), 0) + 30 * coalesce(least(10000, div(10000 * greatest(0, active_days_28d - 16), 12)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(not is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not (coalesce(plan_kind in ('individual'), false)), 128, 0) + if(not ((coalesce(is_payer, false) and coalesce(is_paid, false) and coalesce(subscription_count = 1, false) and coalesce(streams_28d >= 500, false) and coalesce(active_days_28d >= 16, false))), 256, 0),
            -- family_upgrade
            65536 * (if(coalesce(scored_date_of_household_size > date_sub(feature_date, interval 28 day), false), points_of_household_size, div((50 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 0), 1500)), 0) + 50 * coalesce(least(10000, div(10000 * greatest(0, subscription_tenure_days - 0), 180)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(not is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not (coalesce(plan_kind in ('individual', 'duo'), false)), 128, 0) + if(not ((coalesce(is_payer, false) and ((coalesce(plan_kind = 'duo', false) and coalesce(seats_taken >= 2, false)) or coalesce(subscription_count >= 2, false)))), 256, 0),
            -- grace_payment_nudge
            65536 * (div((100 * coalesce(least(10000, div(10000 * greatest(0, failed_payments_28d - 0), 4)), 0)), 100)) + account_bits + if(not is_entitled, 16, 0) + if(not ((coalesce(is_payer, false) and coalesce(is_in_grace, false))), 256, 0),
            -- price_change_save
            65536 * (if(coalesce(scored_date_of_churn_risk > date_sub(feature_date, interval 7 day), false), points_of_churn_risk, div((60 * coalesce(least(10000, div(10000 * greatest(0, subscription_tenure_days - 0), 365)), 0) + 40 * coalesce(least(10000, div(10000 * greatest(0, 100 - streams_28d), 100)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(not is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not ((coalesce(is_payer, false) and coalesce(is_paid, false) and coalesce(price_raise_date between date_sub(feature_date, interval 14 day) and date_add(feature_date, interval 30 day), false) and (coalesce(has_cancelled, false) or coalesce(streams_28d < 100, false)))), 256, 0),
            -- student_verify
            65536 * (div((100 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 100), 1100)), 0)), 100)) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(is_globally_held_out, 32, 0) + if(not (coalesce(birth_year_band in ('2000-2010') and tenure_days >= 3, false)), 128, 0) + if(not ((coalesce(streams_28d >= 100, false) and not coalesce(plan_kind in ('student', 'duo', 'family'), false) and not coalesce(billing_interval = 'year', false))), 256, 0),
            -- trial_ending_convert
            65536 * (if(coalesce(scored_date_of_trial_propensity > date_sub(feature_date, interval 14 day), false), points_of_trial_propensity, div((60 * coalesce(least(10000, div(10000 * greatest(0, active_days_28d - 0), 20)), 0) + 40 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 0), 600)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(not is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not ((coalesce(is_payer, false) and coalesce(is_in_trial, false) and coalesce(has_cancelled, false) and coalesce(active_days_28d >= 3, false))), 256, 0),
            -- trial_for_engaged_free
            65536 * (if(coalesce(scored_date_of_trial_propensity > date_sub(feature_date, interval 14 day), false), points_of_trial_propensity, div((60 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 0), 1000)), 0) + 30 * coalesce(least(10000, div(10000 * greatest(0, ad_ms_28d - 0), 3600000)), 0) + 10 * coalesce(least(10000, div(10000 * greatest(0, skips_blocked_28d - 0), 40)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not (coalesce(not has_ever_trialled and tenure_days >= 7, false)), 128, 0) + if(not ((coalesce(not has_ever_paid, false) and coalesce(streams_28d >= 200, false) and (coalesce(skips_blocked_28d >= 20, false) or coalesce(ad_ms_28d >= 600000, false)))), 256, 0) + if(if(coalesce(scored_date_of_trial_propensity > date_sub(feature_date, interval 14 day), false), points_of_trial_propensity, div((60 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 0), 1000)), 0) + 30 * coalesce(least(10000, div(10000 * greatest(0, ad_ms_28d - 0), 3600000)), 0) + 10 * coalesce(least(10000, div(10000 * greatest(0, skips_blocked_28d - 0), 40)), 0)), 100)) < 1000, 1024, 0),
            -- winback_dormant
            65536 * (if(coalesce(scored_date_of_winback_propensity > date_sub(feature_date, interval 28 day), false), points_of_winback_propensity, div((100 * coalesce(least(10000, div(10000 * greatest(0, 180 - days_since_lapse), 119)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not ((coalesce(has_ever_paid, false) and coalesce(days_since_lapse between 61 and 180, false) and not coalesce(last_end_reason = 'involuntary', false))), 256, 0),
            -- winback_payment_failure
            65536 * (div((60 * coalesce(least(10000, div(10000 * greatest(0, 90 - days_since_lapse), 90)), 0) + 40 * coalesce(least(10000, div(10000 * greatest(0, active_days_28d - 0), 20)), 0)), 100)) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not ((coalesce(has_ever_paid, false) and coalesce(last_end_reason = 'involuntary', false) and coalesce(last_ended_date between date_sub(feature_date, interval 90 day) and feature_date, false))), 256, 0),
            -- winback_recent
            65536 * (if(coalesce(scored_date_of_winback_propensity > date_sub(feature_date, interval 14 day), false), points_of_winback_propensity, div((70 * coalesce(least(10000, div(10000 * greatest(0, 60 - days_since_lapse), 53)), 0) + 30 * coalesce(least(10000, div(10000 * greatest(0, streams_28d - 0), 400)), 0)), 100))) + account_bits + if(is_marketing_withdrawn, 8, 0) + if(is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) + if(not ((coalesce(has_ever_paid, false) and coalesce(days_since_lapse between 7 and 60, false) and not coalesce(last_end_reason = 'involuntary', false))), 256, 0)
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
            case when (failed_bits & 1) != 0 then 'DELETION_REQUESTED' when (failed_bits & 2) != 0 then 'LEGAL_BLOCK' when (failed_bits & 4) != 0 then 'TEST_ACCOUNT' when (failed_bits & 8) != 0 then 'NO_CONSENT' when (failed_bits & 16) != 0 then 'WRONG_ENTITLEMENT' when (failed_bits & 32) != 0 then 'GLOBAL_HOLDOUT' when (failed_bits & 64) != 0 then 'OUTSIDE_VALIDITY' when (failed_bits & 128) != 0 then 'NOT_ELIGIBLE' when (failed_bits & 256) != 0 then 'NOT_IN_AUDIENCE' when (failed_bits & 512) != 0 then 'NO_SCORE' when (failed_bits & 1024) != 0 then 'SCORE_TOO_LOW' end as reason_code,
            if(is_traced, coalesce(array_to_string([if((failed_bits & 1) != 0, 'DELETION_REQUESTED', null), if((failed_bits & 2) != 0, 'LEGAL_BLOCK', null), if((failed_bits & 4) != 0, 'TEST_ACCOUNT', null), if((failed_bits & 8) != 0, 'NO_CONSENT', null), if((failed_bits & 16) != 0, 'WRONG_ENTITLEMENT', null), if((failed_bits & 32) != 0, 'GLOBAL_HOLDOUT', null), if((failed_bits & 64) != 0, 'OUTSIDE_VALIDITY', null), if((failed_bits & 128) != 0, 'NOT_ELIGIBLE', null), if((failed_bits & 256) != 0, 'NOT_IN_AUDIENCE', null), if((failed_bits & 512) != 0, 'NO_SCORE', null), if((failed_bits & 1024) != 0, 'SCORE_TOO_LOW', null)], ','), ''), null) as failed_steps
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
            mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', holdout_salt))), 1, 12)) as int64), 10000) < holdout_buckets as is_locally_held_out,
            mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', experiment_salt))), 1, 12)) as int64), 10000) as experiment_bucket
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
                > 3,
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
        from {{ ref("offer_contents") }}
        where {{ rebuilt_days("feature_date") }}
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
            timestamp(date_add(feature_date, interval 4 + mod(mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', 'served-until'))), 1, 12)) as int64), 10000) + 7 - mod(unix_date(feature_date) + 4, 7), 7) day)) as served_until_at,
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
                            timestamp(date_add(feature_date, interval 4 + mod(mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', 'served-until'))), 1, 12)) as int64), 10000) + 7 - mod(unix_date(feature_date) + 4, 7), 7) day)),
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
