-- fmt: off
{# Made by `segue segments compile` from segments/rules, program.yml and steps.py; edit those. #}

{% macro offer_rules() -%}
array<struct<rule_number int64, rule_id string, rule_version int64, offer_id string, offer_reason string, priority int64, exclusivity_group string, holdout_buckets int64, holdout_salt string, experiment_id string, experiment_salt string, variants array<struct<name string, first_bucket int64, last_bucket int64, is_control bool, content_id string>>, frequency_days int64, max_impressions int64, cool_down string, cool_down_days int64, rule_cap int64, content_id string, arm_entries array<string>, min_content_version int64, fallback_locale string, to_date date>>[
    (1, 'annual_switch', 1, 'annual-switch', 'LOYAL_MONTHLY_PAYER', 30, 'upgrade', 0, 'holdout:annual_switch', 'annual-discount-2026', 'annual-discount-2026', [('control', 0, 1999, true, 'annual-switch'), ('two_months', 2000, 5999, false, 'annual-switch'), ('three_months', 6000, 9999, false, 'annual-switch-deep')], 28, 8, null, null, null, 'annual-switch', ['annual-switch', 'annual-switch-deep'], 1, 'en-US', null),
    (2, 'cancel_save', 1, 'stay-discount', 'CANCELLED_STILL_ENTITLED', 9, 'save', 500, 'holdout:cancel_save', null, null, [], 7, 6, 'converted', 28, null, 'stay-discount', ['stay-discount'], 1, 'en-US', null),
    (3, 'duo_upgrade', 1, 'duo-upgrade', 'SHARED_LISTENING', 34, 'upgrade', 0, 'holdout:duo_upgrade', null, null, [], 28, 6, 'clicked', 14, null, 'duo-upgrade', ['duo-upgrade'], 1, 'en-US', null),
    (4, 'family_upgrade', 1, 'family-upgrade', 'HOUSEHOLD_IS_FULL', 32, 'upgrade', 0, 'holdout:family_upgrade', null, null, [], 28, 6, 'clicked', 14, null, 'family-upgrade', ['family-upgrade'], 1, 'en-US', null),
    (5, 'grace_payment_nudge', 1, 'payment-nudge', 'PAYMENT_FAILED', 1, 'rule:grace_payment_nudge', 0, 'holdout:grace_payment_nudge', null, null, [], null, null, null, null, null, 'payment-nudge', ['payment-nudge'], 1, 'en-US', null),
    (6, 'price_change_save', 1, 'price-hold', 'PRICE_RAISED', 6, 'save', 500, 'holdout:price_change_save', null, null, [], 7, 6, 'converted', 28, 50000, 'price-hold', ['price-hold'], 1, 'en-US', null),
    (7, 'student_verify', 1, 'student-verify', 'LIKELY_STUDENT', 25, 'acquisition', 0, 'holdout:student_verify', null, null, [], 28, 12, 'clicked', 7, null, 'student-verify', ['student-verify'], 1, 'en-US', null),
    (8, 'trial_ending_convert', 2, 'trial-convert', 'TRIAL_WILL_NOT_RENEW', 8, 'save', 0, 'holdout:trial_ending_convert', null, null, [], 7, 5, null, null, null, 'trial-convert', ['trial-convert'], 1, 'en-US', null),
    (9, 'trial_for_engaged_free', 2, 'trial-30-days', 'ENGAGED_FREE_LISTENER', 20, 'acquisition', 100, 'holdout:trial_for_engaged_free', 'trial-length-2026', 'trial-length-2026', [('control', 0, 999, true, 'trial-30-days'), ('thirty_days', 1000, 9999, false, 'trial-30-days')], 28, 20, 'converted', 28, null, 'trial-30-days', ['trial-30-days'], 1, 'en-US', null),
    (10, 'winback_dormant', 1, 'winback-6-months', 'DORMANT_PAYER', 12, 'acquisition', 0, 'holdout:winback_dormant', null, null, [], 28, 6, 'clicked', 14, null, 'winback-6-months', ['winback-6-months'], 1, 'en-US', null),
    (11, 'winback_payment_failure', 1, 'update-card-return', 'LAPSED_BY_PAYMENT', 5, 'acquisition', 0, 'holdout:winback_payment_failure', null, null, [], 28, 10, null, null, null, 'update-card-return', ['update-card-return'], 1, 'en-US', null),
    (12, 'winback_recent', 1, 'winback-3-months', 'LAPSED_PAYER', 10, 'acquisition', 200, 'holdout:winback_recent', null, null, [], 28, 15, 'converted', 28, null, 'winback-3-months', ['winback-3-months'], 1, 'en-US', null)
]
{%- endmacro %}

{% macro account_facts() -%}
mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', 'trace'))), 1, 12)) as int64), 10000) < 100 as is_traced,
mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', 'program-2026'))), 1, 12)) as int64), 10000) < 200 as is_globally_held_out,
if(is_deletion_requested, 1, 0) + if(is_test_account, 4, 0) as barred_bits,
(select max(given.score_points) from unnest(model_scores) as given where given.model = 'churn_risk' and given.scored_date > date_sub(feature_date, interval 7 day)) as points_of_churn_risk_7d,
(select max(given.score_points) from unnest(model_scores) as given where given.model = 'household_size' and given.scored_date > date_sub(feature_date, interval 28 day)) as points_of_household_size_28d,
(select max(given.score_points) from unnest(model_scores) as given where given.model = 'trial_propensity' and given.scored_date > date_sub(feature_date, interval 14 day)) as points_of_trial_propensity_14d,
(select max(given.score_points) from unnest(model_scores) as given where given.model = 'winback_propensity' and given.scored_date > date_sub(feature_date, interval 14 day)) as points_of_winback_propensity_14d,
(select max(given.score_points) from unnest(model_scores) as given where given.model = 'winback_propensity' and given.scored_date > date_sub(feature_date, interval 28 day)) as points_of_winback_propensity_28d
{%- endmacro %}

{% macro shared_by_rules() -%}
barred_bits + if(is_marketing_withdrawn, 8, 0) + if(is_globally_held_out, 32, 0) as failed_marketing_any_held_out,
barred_bits + if(is_marketing_withdrawn, 8, 0) + if(not is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) as failed_marketing_entitled_held_out,
barred_bits + if(is_marketing_withdrawn, 8, 0) + if(is_entitled, 16, 0) + if(is_globally_held_out, 32, 0) as failed_marketing_not_entitled_held_out,
barred_bits + if(not is_entitled, 16, 0) as failed_none_entitled_served_all,
coalesce(points_of_trial_propensity_14d, div((60 * case when streams_28d >= 1000 then 10000 when streams_28d > 0 then div(10000 * streams_28d, 1000) else 0 end + 30 * case when ad_ms_28d >= 3600000 then 10000 when ad_ms_28d > 0 then div(10000 * ad_ms_28d, 3600000) else 0 end + 10 * case when skips_blocked_28d >= 40 then 10000 when skips_blocked_28d > 0 then div(10000 * skips_blocked_28d, 40) else 0 end), 100)) as score_of_trial_for_engaged_free
{%- endmacro %}

{% macro rule_outcomes() -%}
[
    -- annual_switch
    1099511627776 + 16777216 * (div((80 * case when subscription_tenure_days >= 365 then 10000 when subscription_tenure_days > 0 then div(10000 * subscription_tenure_days, 365) else 0 end + 20 * case when active_days_28d >= 28 then 10000 when active_days_28d > 0 then div(10000 * active_days_28d, 28) else 0 end), 100)) + failed_marketing_entitled_held_out + if(plan_kind in ('individual') and billing_interval in ('month'), 0, 128) + if((is_payer and is_paid and not is_in_grace and is_auto_renew and subscription_tenure_days >= 30), 0, 256),
    -- cancel_save
    2199023255552 + 16777216 * (coalesce(points_of_churn_risk_7d, div((60 * case when subscription_tenure_days >= 730 then 10000 when subscription_tenure_days > 30 then div(10000 * (subscription_tenure_days - 30), 700) else 0 end + 40 * case when streams_28d >= 800 then 10000 when streams_28d > 0 then div(10000 * streams_28d, 800) else 0 end), 100))) + failed_marketing_entitled_held_out + if(plan_kind in ('individual', 'duo', 'family', 'basic', 'student'), 0, 128) + if((is_payer and is_paid and not is_in_grace and has_cancelled and subscription_started_date <= date_sub(feature_date, interval 30 day)), 0, 256),
    -- duo_upgrade
    3298534883328 + 16777216 * (coalesce(points_of_household_size_28d, div((70 * case when streams_28d >= 2000 then 10000 when streams_28d > 500 then div(10000 * (streams_28d - 500), 1500) else 0 end + 30 * case when active_days_28d >= 28 then 10000 when active_days_28d > 16 then div(10000 * (active_days_28d - 16), 12) else 0 end), 100))) + failed_marketing_entitled_held_out + if(plan_kind in ('individual'), 0, 128) + if((is_payer and is_paid and subscription_count = 1 and streams_28d >= 500 and active_days_28d >= 16), 0, 256),
    -- family_upgrade
    4398046511104 + 16777216 * (coalesce(points_of_household_size_28d, div((50 * case when streams_28d >= 1500 then 10000 when streams_28d > 0 then div(10000 * streams_28d, 1500) else 0 end + 50 * case when subscription_tenure_days >= 180 then 10000 when subscription_tenure_days > 0 then div(10000 * subscription_tenure_days, 180) else 0 end), 100))) + failed_marketing_entitled_held_out + if(plan_kind in ('individual', 'duo'), 0, 128) + if((is_payer and ((plan_kind = 'duo' and seats_taken >= 2) or subscription_count >= 2)), 0, 256),
    -- grace_payment_nudge
    5497558138880 + 16777216 * (case when failed_payments_28d >= 4 then 10000 when failed_payments_28d > 0 then div(10000 * failed_payments_28d, 4) else 0 end) + failed_none_entitled_served_all + if((is_payer and is_in_grace), 0, 256),
    -- price_change_save
    6597069766656 + 16777216 * (coalesce(points_of_churn_risk_7d, div((60 * case when subscription_tenure_days >= 365 then 10000 when subscription_tenure_days > 0 then div(10000 * subscription_tenure_days, 365) else 0 end + 40 * case when streams_28d <= 0 then 10000 when streams_28d < 100 then div(10000 * (100 - streams_28d), 100) else 0 end), 100))) + failed_marketing_entitled_held_out + if((is_payer and is_paid and price_raise_date between date_sub(feature_date, interval 14 day) and date_add(feature_date, interval 30 day) and (has_cancelled or streams_28d < 100)), 0, 256),
    -- student_verify
    7696581394432 + 16777216 * (case when streams_28d >= 1200 then 10000 when streams_28d > 100 then div(10000 * (streams_28d - 100), 1100) else 0 end) + failed_marketing_any_held_out + if(birth_year_band in ('2000-2010') and tenure_days >= 3, 0, 128) + if((streams_28d >= 100 and not coalesce(plan_kind in ('student', 'duo', 'family'), false) and not coalesce(billing_interval = 'year', false)), 0, 256),
    -- trial_ending_convert
    8796093022208 + 16777216 * (div((60 * case when active_days_28d >= 20 then 10000 when active_days_28d > 0 then div(10000 * active_days_28d, 20) else 0 end + 40 * case when streams_28d >= 600 then 10000 when streams_28d > 0 then div(10000 * streams_28d, 600) else 0 end), 100)) + failed_marketing_entitled_held_out + if((is_payer and is_in_trial and has_cancelled and active_days_28d >= 3), 0, 256),
    -- trial_for_engaged_free
    9895604649984 + 16777216 * (score_of_trial_for_engaged_free) + failed_marketing_not_entitled_held_out + if(not has_ever_trialled and tenure_days >= 7, 0, 128) + if((not has_ever_paid and streams_28d >= 200 and (skips_blocked_28d >= 20 or ad_ms_28d >= 600000)), 0, 256) + if(score_of_trial_for_engaged_free < if(points_of_trial_propensity_14d is null, 1000, 100), 1024, 0),
    -- winback_dormant
    10995116277760 + 16777216 * (coalesce(points_of_winback_propensity_28d, case when days_since_lapse <= 61 then 10000 when days_since_lapse < 180 then div(10000 * (180 - days_since_lapse), 119) else 0 end)) + failed_marketing_not_entitled_held_out + if((has_ever_paid and days_since_lapse between 61 and 180 and not coalesce(last_end_reason = 'involuntary', false)), 0, 256),
    -- winback_payment_failure
    12094627905536 + 16777216 * (div((60 * case when days_since_lapse <= 0 then 10000 when days_since_lapse < 90 then div(10000 * (90 - days_since_lapse), 90) else 0 end + 40 * case when active_days_28d >= 20 then 10000 when active_days_28d > 0 then div(10000 * active_days_28d, 20) else 0 end), 100)) + failed_marketing_not_entitled_held_out + if((has_ever_paid and last_end_reason = 'involuntary' and last_ended_date between date_sub(feature_date, interval 90 day) and feature_date), 0, 256),
    -- winback_recent
    13194139533312 + 16777216 * (coalesce(points_of_winback_propensity_14d, div((70 * case when days_since_lapse <= 7 then 10000 when days_since_lapse < 60 then div(10000 * (60 - days_since_lapse), 53) else 0 end + 30 * case when streams_28d >= 400 then 10000 when streams_28d > 0 then div(10000 * streams_28d, 400) else 0 end), 100))) + failed_marketing_not_entitled_held_out + if((has_ever_paid and days_since_lapse between 7 and 60 and not coalesce(last_end_reason = 'involuntary', false)), 0, 256)
]
{%- endmacro %}

{% macro rule_number(outcome) -%}
({{ outcome }} >> 40)
{%- endmacro %}

{% macro score_points(outcome) -%}
(({{ outcome }} >> 24) & 65535)
{%- endmacro %}

{% macro failed_bits(outcome) -%}
({{ outcome }} & 16777215)
{%- endmacro %}

{% macro reason_code(outcome) -%}
case when ({{ outcome }} & 1) != 0 then 'DELETION_REQUESTED' when ({{ outcome }} & 2) != 0 then 'LEGAL_BLOCK' when ({{ outcome }} & 4) != 0 then 'TEST_ACCOUNT' when ({{ outcome }} & 8) != 0 then 'NO_CONSENT' when ({{ outcome }} & 16) != 0 then 'WRONG_ENTITLEMENT' when ({{ outcome }} & 32) != 0 then 'GLOBAL_HOLDOUT' when ({{ outcome }} & 64) != 0 then 'OUTSIDE_VALIDITY' when ({{ outcome }} & 128) != 0 then 'NOT_ELIGIBLE' when ({{ outcome }} & 256) != 0 then 'NOT_IN_AUDIENCE' when ({{ outcome }} & 512) != 0 then 'NO_SCORE' when ({{ outcome }} & 1024) != 0 then 'SCORE_TOO_LOW' when ({{ outcome }} & 2048) != 0 then 'CONTENT_MISSING' when ({{ outcome }} & 4096) != 0 then 'CONTENT_UNPUBLISHED' when ({{ outcome }} & 8192) != 0 then 'CONTENT_EXPIRED' when ({{ outcome }} & 16384) != 0 then 'CONTENT_OUTDATED' when ({{ outcome }} & 32768) != 0 then 'LOCAL_HOLDOUT' when ({{ outcome }} & 65536) != 0 then 'FREQUENCY_REACHED' when ({{ outcome }} & 131072) != 0 then 'COOLING_DOWN' when ({{ outcome }} & 262144) != 0 then 'LOST_EXCLUSIVITY' when ({{ outcome }} & 524288) != 0 then 'ACCOUNT_CAP_REACHED' when ({{ outcome }} & 1048576) != 0 then 'RULE_CAP_REACHED' else 'SELECTED' end
{%- endmacro %}

{% macro failed_steps(outcome) -%}
coalesce(array_to_string([if(({{ outcome }} & 1) != 0, 'DELETION_REQUESTED', null), if(({{ outcome }} & 2) != 0, 'LEGAL_BLOCK', null), if(({{ outcome }} & 4) != 0, 'TEST_ACCOUNT', null), if(({{ outcome }} & 8) != 0, 'NO_CONSENT', null), if(({{ outcome }} & 16) != 0, 'WRONG_ENTITLEMENT', null), if(({{ outcome }} & 32) != 0, 'GLOBAL_HOLDOUT', null), if(({{ outcome }} & 64) != 0, 'OUTSIDE_VALIDITY', null), if(({{ outcome }} & 128) != 0, 'NOT_ELIGIBLE', null), if(({{ outcome }} & 256) != 0, 'NOT_IN_AUDIENCE', null), if(({{ outcome }} & 512) != 0, 'NO_SCORE', null), if(({{ outcome }} & 1024) != 0, 'SCORE_TOO_LOW', null), if(({{ outcome }} & 2048) != 0, 'CONTENT_MISSING', null), if(({{ outcome }} & 4096) != 0, 'CONTENT_UNPUBLISHED', null), if(({{ outcome }} & 8192) != 0, 'CONTENT_EXPIRED', null), if(({{ outcome }} & 16384) != 0, 'CONTENT_OUTDATED', null), if(({{ outcome }} & 32768) != 0, 'LOCAL_HOLDOUT', null), if(({{ outcome }} & 65536) != 0, 'FREQUENCY_REACHED', null), if(({{ outcome }} & 131072) != 0, 'COOLING_DOWN', null)], ','), '')
{%- endmacro %}

{% macro step_bit(step) -%}
{{ {'DELETION_REQUESTED': 1, 'LEGAL_BLOCK': 2, 'TEST_ACCOUNT': 4, 'NO_CONSENT': 8, 'WRONG_ENTITLEMENT': 16, 'GLOBAL_HOLDOUT': 32, 'OUTSIDE_VALIDITY': 64, 'NOT_ELIGIBLE': 128, 'NOT_IN_AUDIENCE': 256, 'NO_SCORE': 512, 'SCORE_TOO_LOW': 1024, 'CONTENT_MISSING': 2048, 'CONTENT_UNPUBLISHED': 4096, 'CONTENT_EXPIRED': 8192, 'CONTENT_OUTDATED': 16384, 'LOCAL_HOLDOUT': 32768, 'FREQUENCY_REACHED': 65536, 'COOLING_DOWN': 131072, 'LOST_EXCLUSIVITY': 262144, 'ACCOUNT_CAP_REACHED': 524288, 'RULE_CAP_REACHED': 1048576}[step] }}
{%- endmacro %}

{% macro step_code(step) -%}
{{ {'DELETION_REQUESTED': "'DELETION_REQUESTED'", 'LEGAL_BLOCK': "'LEGAL_BLOCK'", 'TEST_ACCOUNT': "'TEST_ACCOUNT'", 'NO_CONSENT': "'NO_CONSENT'", 'WRONG_ENTITLEMENT': "'WRONG_ENTITLEMENT'", 'GLOBAL_HOLDOUT': "'GLOBAL_HOLDOUT'", 'OUTSIDE_VALIDITY': "'OUTSIDE_VALIDITY'", 'NOT_ELIGIBLE': "'NOT_ELIGIBLE'", 'NOT_IN_AUDIENCE': "'NOT_IN_AUDIENCE'", 'NO_SCORE': "'NO_SCORE'", 'SCORE_TOO_LOW': "'SCORE_TOO_LOW'", 'CONTENT_MISSING': "'CONTENT_MISSING'", 'CONTENT_UNPUBLISHED': "'CONTENT_UNPUBLISHED'", 'CONTENT_EXPIRED': "'CONTENT_EXPIRED'", 'CONTENT_OUTDATED': "'CONTENT_OUTDATED'", 'LOCAL_HOLDOUT': "'LOCAL_HOLDOUT'", 'FREQUENCY_REACHED': "'FREQUENCY_REACHED'", 'COOLING_DOWN': "'COOLING_DOWN'", 'LOST_EXCLUSIVITY': "'LOST_EXCLUSIVITY'", 'ACCOUNT_CAP_REACHED': "'ACCOUNT_CAP_REACHED'", 'RULE_CAP_REACHED': "'RULE_CAP_REACHED'", 'SELECTED': "'SELECTED'"}[step] }}
{%- endmacro %}

{% macro score_of(points) -%}
{{ points }} / 10000
{%- endmacro %}

{% macro account_bucket(salt) -%}
mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', {{ salt }}))), 1, 12)) as int64), 10000)
{%- endmacro %}

{% macro served_until() -%}
timestamp(date_add(feature_date, interval 4 + mod(mod(cast(concat('0x', substr(to_hex(sha256(concat(account_id, ':', 'served-until'))), 1, 12)) as int64), 10000) + 7 - mod(unix_date(feature_date) + 4, 7), 7) day))
{%- endmacro %}

{% macro max_offers_per_account() -%}
3
{%- endmacro %}

{% macro rules_of_global_holdout() -%}
array<string>['annual_switch', 'cancel_save', 'duo_upgrade', 'family_upgrade', 'price_change_save', 'student_verify', 'trial_ending_convert', 'trial_for_engaged_free', 'winback_dormant', 'winback_payment_failure', 'winback_recent']
{%- endmacro %}

{% macro standing_holdouts() -%}
{{ return([{"id": "holdout-global", "rule": "", "salt": "program-2026", "buckets": 200}, {"id": "holdout-cancel_save", "rule": "cancel_save", "salt": "holdout:cancel_save", "buckets": 500}, {"id": "holdout-price_change_save", "rule": "price_change_save", "salt": "holdout:price_change_save", "buckets": 500}, {"id": "holdout-trial_for_engaged_free", "rule": "trial_for_engaged_free", "salt": "holdout:trial_for_engaged_free", "buckets": 100}, {"id": "holdout-winback_recent", "rule": "winback_recent", "salt": "holdout:winback_recent", "buckets": 200}]) }}
{%- endmacro %}
