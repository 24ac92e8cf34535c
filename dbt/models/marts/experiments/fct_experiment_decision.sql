{{
    config(
        partition_by={"field": "decision_date", "data_type": "date", "granularity": "day"},
        cluster_by=["experiment_id", "account_id"],
        meta={"published": "days", "restates_days": 0, "as_known_then": true},
    )
}}

with
    decisions as (
        select
            decision_date,
            account_id,
            market,
            is_globally_held_out,
            decisions,
            offers,
            globally_held_out_rules
        from {{ ref("offer_decisions") }}
        where {{ known_rebuilt_days("decision_date") }}
    ),

    offered as (
        select
            decision.decision_date,
            offer.experiment_id,
            decision.account_id,
            offer.variant,
            offer.is_control as is_held_back,
            offer.rule_id,
            offer.rule_version,
            offer.offer_id,
            decision.market
        from decisions as decision
        cross join unnest(decision.offers) as offer
        where offer.experiment_id is not null
    ),

    rules as (
        select
            rule.rule_id,
            rule.rule_version,
            rule.offer_id,
            rule.holdout_buckets > 0 as has_holdout,
            rule.rule_id in unnest({{ rules_of_global_holdout() }}) as respects_global_holdout
        from unnest({{ offer_rules() }}) as rule
    ),

    -- Who passed all that is asked of the account itself. Nothing after that, since frequency and what
    -- competes refuse only those who may be served.
    qualified as (
        select
            decision.decision_date,
            decision.account_id,
            decision.market,
            decision.is_globally_held_out,
            judged.rule_id,
            judged.reason_code
        from decisions as decision
        cross join unnest(decision.decisions) as judged
        where
            judged.reason_code in (
                'LOCAL_HOLDOUT',
                'FREQUENCY_REACHED',
                'COOLING_DOWN',
                'LOST_EXCLUSIVITY',
                'ACCOUNT_CAP_REACHED',
                'RULE_CAP_REACHED',
                'CONTENT_MISSING',
                'CONTENT_UNPUBLISHED',
                'CONTENT_EXPIRED',
                'CONTENT_OUTDATED',
                'SELECTED'
            )
    ),

    -- A rule's own holdout is drawn among those of them for whom there is content to be shown.
    of_rules as (
        select
            qualified.decision_date,
            concat('holdout-', qualified.rule_id) as experiment_id,
            qualified.account_id,
            if(qualified.reason_code = 'LOCAL_HOLDOUT', 'held_out', 'served') as variant,
            qualified.reason_code = 'LOCAL_HOLDOUT' as is_held_back,
            qualified.rule_id,
            rule.rule_version,
            rule.offer_id,
            qualified.market
        from qualified
        inner join rules as rule on qualified.rule_id = rule.rule_id
        where rule.has_holdout and not starts_with(qualified.reason_code, 'CONTENT_')
    ),

    -- The program's holdout: somebody whom nothing but it keeps from some rule, and whoever qualifies for
    -- one.
    of_program as (
        select distinct decision_date, account_id, market, false as is_held_back
        from qualified
        inner join rules as rule on qualified.rule_id = rule.rule_id
        where rule.respects_global_holdout and not qualified.is_globally_held_out
        union all
        select decision_date, account_id, market, true
        from decisions
        where is_globally_held_out and array_length(globally_held_out_rules) > 0
    )

select
    decision_date, experiment_id, account_id, variant, is_held_back, rule_id, rule_version, offer_id, market
from offered
union all
select
    decision_date, experiment_id, account_id, variant, is_held_back, rule_id, rule_version, offer_id, market
from of_rules
union all
select
    decision_date,
    'holdout-global' as experiment_id,
    account_id,
    if(is_held_back, 'held_out', 'served') as variant,
    is_held_back,
    cast(null as string) as rule_id,
    cast(null as int64) as rule_version,
    cast(null as string) as offer_id,
    market
from of_program
