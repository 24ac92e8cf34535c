"""What is written beside the files as true follows from the files, by another way."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from local.company.catalogue import PLAN_IDS
from local.company.truth import half_even, month_cents
from tests.local.company.conftest import Company

STATES = """
create or replace temp view lives as
with accepted as (
    select * from canonical_events
    where event_type <> 'boosted' and (period_end_at >= period_start_at or period_end_at is null)
    qualify row_number() over (partition by provider, provider_event_id order by ingested_at) = 1
), entered as (
    select *, case
        when event_type = 'trial_started' then 'trial'
        when event_type in ('trial_converted', 'started', 'renewed', 'recovered', 'resumed', 'reactivated')
            then 'active'
        when event_type = 'grace_started' then 'grace'
        when event_type in ('billing_retry_started', 'paused', 'expired', 'revoked') then 'out'
    end as entered
    from accepted
)
select subscription_id, account_id, event_type,
    last_value(plan_id ignore nulls) over life as plan_id,
    last_value(price_amount ignore nulls) over life as price_amount,
    last_value(currency ignore nulls) over life as currency,
    last_value(interval ignore nulls) over life as interval,
    last_value(interval_count ignore nulls) over life as interval_count,
    last_value(entered ignore nulls) over life as state,
    occurred_at as since, lead(occurred_at) over life as until
from entered window life as (partition by subscription_id order by occurred_at)
"""


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_half_even_is_decimals_half_even(numerator: int, denominator: int) -> None:
    expected = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), ROUND_HALF_EVEN)

    assert half_even(np.array([numerator]), denominator).tolist() == [int(expected)]


def test_a_price_is_normalised_to_a_month_once() -> None:
    plans = {plan: PLAN_IDS.index(plan) for plan in ("individual-quarter", "individual-4-weeks")}

    # 29.90 / 3 and 9.99 * 52 / 48.
    assert month_cents(np.array([2990, 999]), np.array(list(plans.values()))).tolist() == [997, 1082]


def test_replaying_the_events_gives_the_truth_of_every_day_to_the_cent(company: Company) -> None:
    company.rows(STATES)
    differences = company.rows("""
        with cents as (
            select *, (price_amount * 100)::hugeint as price_cents,
                case interval when 'week' then 52 else 1 end as times,
                case interval when 'month' then 1 else 12 end * interval_count as over
            from lives
            where state in ('trial', 'active', 'grace') and account_id not in (
                select account_id from accounts where is_test or is_employee
            )
        ), monthly as (
            -- Half to even in whole numbers: a quotient of decimals would be a double.
            select *, price_cents * times // over as whole, price_cents * times % over * 2 as twice_rest
            from cents
        ), mrr as (
            select *, case
                when state = 'trial' then 0
                when twice_rest > over or (twice_rest = over and whole % 2 = 1) then whole + 1
                else whole
            end as mrr_cents
            from monthly
        ), in_dollars as (
            select rate.day, mrr.currency, state, mrr_cents,
                mrr_cents * (usd_rate * 1000000)::hugeint as micro
            from mrr
            inner join fx_rates as rate on mrr.currency = rate.currency
                and since < rate.day + interval 1 day
                and coalesce(until, timestamptz '9999-01-01') >= rate.day + interval 1 day
        ), replayed as (
            select day, currency, count(*) as active, count(*) filter (state = 'trial') as trials,
                sum(mrr_cents) as mrr_cents,
                sum(micro // 1000000 + case
                    when micro % 1000000 > 500000 then 1
                    when micro % 1000000 = 500000 then micro // 1000000 % 2
                    else 0
                end) as usd_cents
            from in_dollars group by day, currency
        )
        select day, currency, active_subscriptions, active, trial_subscriptions, trials,
            mrr_amount, mrr_cents, mrr_usd_amount, usd_cents
        from truth_days full join replayed using (day, currency)
        where coalesce(active, 0) <> active_subscriptions
            or coalesce(trials, 0) <> trial_subscriptions
            or active_subscriptions <> paid_subscriptions + trial_subscriptions
            or coalesce(mrr_cents, 0) <> mrr_amount * 100
            or coalesce(usd_cents, 0) <> mrr_usd_amount * 100
    """)

    assert differences == []
    assert company.value("select count(*) from truth_days") == 30 * 7
    assert company.value("select min(active_subscriptions) from truth_days where currency = 'USD'") > 0


def test_nothing_opens_while_it_is_entitled_and_no_two_events_share_an_instant(company: Company) -> None:
    company.rows(STATES)

    assert (
        company.value("""
        select count(*) from (
            select *, lag(state) over (partition by subscription_id order by since) as before from lives
        ) where event_type in ('trial_started', 'started', 'reactivated')
            and before in ('trial', 'active', 'grace') or since = until
        """)
        == 0
    )


def test_intervals_are_the_entitled_states_of_the_events(company: Company) -> None:
    company.rows(STATES)
    columns = "subscription_id, account_id, state, plan_id, price_amount, currency, interval, interval_count"
    # Equal neighbours are one: a renewal changes nothing.
    joined = """
        select {columns}, min(since) as since, nullif(max(coalesce(until, 'infinity')), 'infinity') as until
        from (
            select *, sum(is_new) over life as island from (
                select *, (lag(until) over life is distinct from since
                    or lag(({columns})) over life is distinct from ({columns}))::int as is_new
                from ({source}) window life as (partition by subscription_id order by since)
            ) window life as (partition by subscription_id order by since)
        ) group by {columns}, island
    """
    replayed = joined.format(columns=columns, source="from lives where state in ('trial', 'active', 'grace')")
    true = joined.format(
        columns=columns,
        source="select * exclude (from_at, to_at), from_at as since, to_at as until "
        "from truth_subscription_intervals",
    )

    assert company.rows(f"({replayed} except {true}) union all ({true} except {replayed})") == []


def test_active_today_is_active_yesterday_and_starts_and_no_ends(company: Company) -> None:
    breaks = company.rows("""
        with joined as (
            select *, sum(is_new) over life as island from (
                select *, (lag(to_at) over life is distinct from from_at
                    or lag(currency) over life is distinct from currency)::int as is_new
                from truth_subscription_intervals where not is_test
                window life as (partition by subscription_id order by from_at)
            ) window life as (partition by subscription_id order by from_at)
        ), spells as (
            select currency, min(from_at) as from_at, max(coalesce(to_at, 'infinity')) as to_at
            from joined group by subscription_id, currency, island
        ), changes as (
            select currency, from_at::date as day, 1 as change from spells
            union all
            select currency, to_at::date, -1 from spells where isfinite(to_at)
        ), movements as (select currency, day, sum(change) as net from changes group by 1, 2)
        select currency, day from (
            select *, active_subscriptions
                - lag(active_subscriptions) over (partition by currency order by day) as difference
            from truth_days
        ) left join movements using (currency, day)
        where difference <> coalesce(net, 0)
    """)

    assert breaks == []
