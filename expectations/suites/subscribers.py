"""Expectations on subscription history and the subscriber marts."""

from __future__ import annotations

from typing import get_args

import great_expectations.expectations as gxe

from expectations.suites.movements import END_REASONS, MOVEMENT_REASONS, MOVEMENTS, REASONED
from expectations.suites.suite import (
    WARNING,
    MartSuite,
    at_least,
    between,
    no_rows,
    not_null,
    one_of,
    unique_key,
)
from loaders.warehouse.client import Warehouse
from segue.vocabulary import PlanKind
from segue.window import RunWindow

PROVIDERS = ("google_play", "app_store", "stripe", "periods")
PLAN_KINDS = get_args(PlanKind)
INTERVALS = ("day", "week", "month", "year")
ENTITLED_STATES = ("trial", "active", "grace")
RENEWAL_RISKS = ("grace", "failed_charge", "overdue", "price_rise")
UNPRICED = "mrr_usd_amount is null"
"""Nobody told a price, or a rate of its currency; the subscription counts anyway."""


def subscriber_suites(window: RunWindow) -> list[MartSuite]:
    """Suites of ``int_subscription_periods`` and of the published subscriber marts."""
    return [_periods(window), _subscription_daily(), _subscriber_daily(window), _subscribers_daily(window)]


def _periods(window: RunWindow) -> MartSuite:
    return MartSuite(
        model="int_subscription_periods",
        key=("subscription_id", "valid_from_at"),
        day_column="date(valid_from_at)",
        watch_row_count=False,
        expectations=(
            unique_key("subscription_id", "valid_from_at"),
            *not_null("subscription_id", "account_id", "state", "valid_from_at"),
            no_rows(
                "select subscription_id, event_type, valid_from_at from {batch} where is_conflicting_opening",
                "a subscription period is not opened twice (duplicated subscription period)",
            ),
            no_rows(
                f"""with period as (select * from {{batch}})
                select period.subscription_id, period.valid_from_at, follower.valid_from_at as overlaps_at
                from period
                inner join {window.table("int_subscription_periods")} as follower
                    on period.subscription_id = follower.subscription_id
                    and follower.valid_from_at > period.valid_from_at
                    and follower.valid_from_at < period.valid_to_at""",
                "periods of one subscription do not overlap",
            ),
        ),
    )


def _subscription_daily() -> MartSuite:
    return MartSuite(
        model="fct_subscription_daily",
        key=("snapshot_date", "subscription_id"),
        expectations=(
            unique_key("snapshot_date", "subscription_id"),
            *not_null(
                "account_id", "provider", "market", "plan_id", "plan_kind", "state",
                "was_active_at_day_start", "was_active_at_day_end", "subscription_number", "tenure_days",
            ),
            one_of("provider", PROVIDERS),
            one_of("plan_kind", PLAN_KINDS),
            one_of("billing_interval", INTERVALS),
            at_least("billing_interval_count", 1),
            one_of("state", ENTITLED_STATES),
            one_of("renewal_risk", RENEWAL_RISKS),
            at_least("days_since_cancelled", 0),
            at_least("mrr_amount", 0),
            between("mrr_usd_amount", 0, 100_000),
            at_least("tenure_days", 0),
            no_rows(
                "select subscription_id, state, mrr_amount from {batch} "
                "where mrr_amount <> 0 and (not is_paid or not was_active_at_day_end)",
                "MRR is 0 where nothing is paid and when it is not entitled at the end of the day",
            ),
            no_rows(
                "select subscription_id, state, is_trial, is_paid from {batch} "
                "where is_trial and is_paid or is_trial <> (state = 'trial') "
                "or state = 'active' and not is_paid",
                "an entitled subscription is paid, in trial, or in grace that was never paid",
            ),
            no_rows(
                "select subscription_id, next_renewal_date, is_renewal_due_14d, renewal_risk, cancelled_at "
                "from {batch} "
                "where not is_auto_renew and (next_renewal_date is not null or is_renewal_due_14d) "
                "or coalesce(is_auto_renew, true) and cancelled_at is not null "
                "or renewal_risk is not null and not is_renewal_due_14d",
                "what does not renew has no next renewal, and what is not due is at no risk",
            ),
            no_rows(
                "select snapshot_date, subscription_id, provider, plan_id, market, price_amount, currency "
                f"from {{batch}} where {UNPRICED}",
                "the price of every subscription is known, and a rate of its currency",
                severity=WARNING,
            ),
        ),
        measured=_as_configured,
    )  # fmt: skip


def _as_configured(warehouse: Warehouse, window: RunWindow) -> list[gxe.Expectation]:
    """One subscription whose price nobody tells stops nobody; many are a feed that is broken, as is a rate
    that nobody tells any more. Before the feed of rates begins no currency has one: that breaks nothing."""
    share, age = warehouse.settings.max_unpriced_share, warehouse.settings.max_rate_age_days
    rates = window.table("int_usd_rates_daily")
    unpriced = f"{UNPRICED} and (mrr_amount is null or rate_date is not null)"
    return [
        no_rows(
            f"""with day as (
                select snapshot_date, currency, count(*) as subscriptions
                from {{batch}}
                where mrr_amount <> 0 and currency <> 'USD'
                group by snapshot_date, currency
            )
            select day.snapshot_date, day.currency, rate.told_date, day.subscriptions
            from day
            inner join {rates} as rate
                on day.currency = rate.currency and day.snapshot_date = rate.rate_date
            where date_diff(day.snapshot_date, rate.told_date, day) > {age}""",
            f"no exchange rate is more than {age} days old (SEGUE_MAX_RATE_AGE_DAYS; fx_rates)",
        ),
        no_rows(
            f"""select snapshot_date, countif({unpriced}) as unpriced, count(*) as subscriptions
            from {{batch}} as day
            left join (select distinct rate_date from {rates} where currency <> 'USD') as rated
                on day.snapshot_date = rated.rate_date
            group by snapshot_date
            having countif({unpriced}) > greatest(1, {share} * count(*))""",
            f"the price of all but {share:.0%} of a day's subscriptions is known (SEGUE_MAX_UNPRICED_SHARE)",
        ),
    ]


def _subscriber_daily(window: RunWindow) -> MartSuite:
    return MartSuite(
        model="fct_subscriber_daily",
        key=("snapshot_date", "account_id"),
        expectations=(
            unique_key("snapshot_date", "account_id"),
            *not_null(
                "account_id",
                "market",
                "is_payer",
                "is_member",
                "is_paid",
                "is_in_trial",
                "is_in_grace",
                "mrr_usd_amount",
                "subscription_count",
                "movement",
            ),
            at_least("mrr_usd_amount", 0),
            at_least("subscription_count", 0),
            one_of("movement", tuple(name for name in MOVEMENTS if name != "fx")),
            one_of("churn_reason", END_REASONS),
            one_of("movement_reason", MOVEMENT_REASONS),
            no_rows(
                "select snapshot_date, account_id from {batch} "
                "where is_subscriber <> (is_payer or is_member) "
                "or (not is_subscriber and movement <> 'churn')",
                "a subscriber is a payer or a plan member, and who is neither has churned on the day",
            ),
            no_rows(
                "select snapshot_date, account_id, movement, churn_reason from {batch} "
                "where (movement = 'churn') <> (churn_reason is not null)",
                "a churn has a reason, and nothing else has",
            ),
            no_rows(
                "select snapshot_date, account_id, movement, movement_reason from {batch} "
                f"where ({REASONED}) <> (movement_reason is not null)",
                "expansion, contraction and reactivation have a reason, and nothing else has",
            ),
            no_rows(
                "select snapshot_date, account_id, movement from {batch} "
                "where (movement = 'churn') <> (was_paying_at_day_start and not was_paying_at_day_end) "
                "or (movement in ('new', 'reactivation')) "
                "<> (was_paying_at_day_end and not was_paying_at_day_start)",
                "who churned paid when the day began, who is new or back pays when it ends, and nobody else",
            ),
            no_rows(
                _mrr_differences(window, "fct_subscriber_daily", "mrr_usd_amount"),
                "MRR identity: the accounts' MRR is the subscriptions' MRR, to the cent, every day",
            ),
        ),
    )


def _subscribers_daily(window: RunWindow) -> MartSuite:
    return MartSuite(
        model="agg_subscribers_daily",
        key=("snapshot_date", "market", "plan_kind", "provider", "currency"),
        expectations=(
            unique_key("snapshot_date", "market", "plan_kind", "provider", "currency"),
            *not_null("active_subscriptions", "mrr_amount", "mrr_usd_amount"),
            at_least("active_subscriptions", 0),
            at_least("mrr_usd_amount", 0),
            no_rows(
                "select * from {batch} where active_subscriptions "
                "<> opening_subscriptions + starts - ends + moves_in - moves_out",
                "active subscriptions are those before, plus starts and moves in, less ends and moves out",
            ),
            no_rows(
                "select * from {batch} "
                "where active_subscriptions "
                "<> paid_subscriptions + trial_subscriptions + unpaid_subscriptions "
                "or payers > active_subscriptions",
                "an active subscription is paid, in trial or never paid, and has one payer",
            ),
            no_rows(
                _mrr_differences(window, "agg_subscribers_daily", "mrr_usd_amount"),
                "MRR identity: the aggregate's MRR is the subscriptions' MRR, to the cent, every day",
            ),
            no_rows(
                f"""with detail as (
                    select snapshot_date, countif(was_active_at_day_end) as active_subscriptions
                    from {window.table("fct_subscription_daily")}
                    where {window.partitions("snapshot_date")}
                    group by snapshot_date
                ), aggregate as (
                    select snapshot_date, sum(active_subscriptions) as active_subscriptions
                    from {{batch}}
                    group by snapshot_date
                )
                select snapshot_date, detail.active_subscriptions as detail_rows,
                    aggregate.active_subscriptions as aggregate_rows
                from detail full outer join aggregate using (snapshot_date)
                where coalesce(detail.active_subscriptions, 0)
                    <> coalesce(aggregate.active_subscriptions, 0)""",
                "active subscriptions of the aggregate and of the detail agree every day",
            ),
        ),
    )


def _mrr_differences(window: RunWindow, model: str, column: str) -> str:
    """Days on which ``model`` does not carry the MRR of fct_subscription_daily."""
    return f"""with detail as (
        select snapshot_date, sum(mrr_usd_amount) as mrr
        from {window.table("fct_subscription_daily")}
        where {window.partitions("snapshot_date")}
        group by snapshot_date
    ), other as (
        select snapshot_date, sum({column}) as mrr
        from {{batch}}
        group by snapshot_date
    )
    select snapshot_date, detail.mrr as subscriptions_mrr, other.mrr as {model}_mrr
    from detail full outer join other using (snapshot_date)
    where coalesce(detail.mrr, 0) <> coalesce(other.mrr, 0)"""
