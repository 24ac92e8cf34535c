"""Billing as the providers would deliver it: events, payments, members of shared plans."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from local.company.catalogue import (
    INTERVALS,
    MARKETS,
    OFFERS,
    PLAN_INTERVAL,
    PLAN_SEATS,
    PLANS,
    PROVIDERS,
)
from local.company.columns import Ints, amounts, arrivals, identifiers, instants, picked
from local.company.lives import CODE, EVENT_TYPES, REASONS, Subscriptions
from local.company.people import People
from local.company.spec import CompanySpec

CURRENCY_OF_MARKET = [market.currency for market in MARKETS]
PLAN_IDS = [plan.plan_id for plan in PLANS]
_OPENING = [CODE["trial_started"], CODE["started"], CODE["reactivated"]]
_CHARGING = [CODE[kind] for kind in ("trial_converted", "started", "renewed", "reactivated", "recovered")]
_DECLINES = ("insufficient_funds", "expired_card", "do_not_honor")


def sorted_events(events: dict[str, Ints], first_number: int) -> dict[str, Ints]:
    """Events in the order of their subscriptions and times, numbered from ``first_number``."""
    order = np.lexsort((events["kind"], events["at"], events["sub"]))
    events = {name: values[order] for name, values in events.items()}
    return events | {"number": np.arange(first_number, first_number + order.size)}


def event_rows(
    spec: CompanySpec,
    random: np.random.Generator,
    people: People,
    subs: Subscriptions,
    subscription_ids: pa.Array,
    offer_of_sub: Ints,
    events: dict[str, Ints],
) -> pa.Table:
    """``subscription_events``; offers stand on the opening events they led to."""
    sub, kind = events["sub"], events["kind"]
    opening = np.isin(kind, _OPENING)
    of_trial = kind == CODE["trial_started"]
    auto_renew = np.where(kind == CODE["auto_renew_off"], 0, 1)
    provider = subs.account[sub] % len(PROVIDERS)
    return pa.table(
        {
            "provider": picked(PROVIDERS, provider),
            "provider_event_id": identifiers("e", events["number"], 12),
            "subscription_id": subscription_ids.take(pa.array(sub)),
            "account_id": identifiers("a", people.number[subs.account[sub]]),
            "event_type": picked(EVENT_TYPES, kind),
            "plan_id": picked(PLAN_IDS, events["plan"]),
            "price_amount": amounts(events["price"]),
            "currency": picked(CURRENCY_OF_MARKET, events["market"]),
            "interval": picked(INTERVALS, PLAN_INTERVAL[events["plan"]]),
            "trial_ends_at": instants(events["period_end"], of_trial),
            "period_start_at": instants(events["period_start"]),
            "period_end_at": instants(events["period_end"]),
            "auto_renew": pa.array(auto_renew.astype(bool)),
            "reason": picked(REASONS[1:], events["reason"] - 1),
            "offer_id": picked(OFFERS, np.where(opening & (kind != _OPENING[2]), offer_of_sub[sub], -1)),
            "occurred_at": instants(events["at"]),
            "ingested_at": instants(arrivals(spec, random, events["at"])),
        }
    )


def payment_rows(
    spec: CompanySpec,
    random: np.random.Generator,
    subscription_ids: pa.Array,
    events: dict[str, Ints],
) -> pa.Table:
    """A charge for every paid period, a failed one before grace, a refund of the latest charge."""
    kind = events["kind"]
    charged = np.isin(kind, _CHARGING)
    failed = kind == CODE["grace_started"]
    refunded = kind == CODE["refunded"]
    wanted = np.nonzero(charged | failed | refunded)[0]
    latest_charge = np.maximum.accumulate(np.where(charged, np.arange(kind.size), -1))
    at = events["at"][wanted] + random.integers(1, 30, wanted.size) * 1_000_000
    at = np.minimum(at, spec.end_us - 1_000)
    is_refund = refunded[wanted]
    origin = events["number"][latest_charge[wanted]]
    status = np.where(failed[wanted], 1, 0)
    return pa.table(
        {
            "payment_id": identifiers("p", events["number"][wanted], 12),
            "subscription_id": subscription_ids.take(pa.array(events["sub"][wanted])),
            "kind": picked(("charge", "refund"), is_refund.astype(np.int64)),
            "amount": amounts(events["price"][wanted]),
            "currency": picked(CURRENCY_OF_MARKET, events["market"][wanted]),
            "status": picked(("succeeded", "failed"), status),
            "attempt": pa.array(np.ones(wanted.size, np.int64)),
            "decline_code": picked(_DECLINES, np.where(status == 1, random.integers(0, 3, wanted.size), -1)),
            "refunded_payment_id": identifiers("p", np.where(is_refund, origin, -1), 12),
            "occurred_at": instants(at),
            "ingested_at": instants(arrivals(spec, random, at)),
        }
    )


def member_rows(
    spec: CompanySpec,
    random: np.random.Generator,
    people: People,
    subs: Subscriptions,
    subscription_ids: pa.Array,
) -> pa.Table:
    """Payer and members of shared plans; a member joins a day after the subscription opened, and stays."""
    shared = np.nonzero(PLAN_SEATS[subs.plan] > 1)[0]
    others = np.repeat(shared, random.integers(1, PLAN_SEATS[subs.plan[shared]]))
    sub = np.concatenate([shared, others])
    role = np.concatenate([np.zeros(shared.size, np.int64), np.ones(others.size, np.int64)])
    invited = random.integers(0, people.number.size, others.size)
    account = np.concatenate([subs.account[shared], invited])
    joined = subs.opened_at[sub] + role * 86_400_000_000
    keep = (joined < spec.end_us) & (joined >= people.created_at[account])
    sub, role, account, joined = sub[keep], role[keep], account[keep], joined[keep]
    return pa.table(
        {
            "subscription_id": subscription_ids.take(pa.array(sub)),
            "account_id": identifiers("a", people.number[account]),
            "role": picked(("payer", "member"), role),
            "joined_at": instants(joined),
            "left_at": pa.nulls(sub.size, pa.timestamp("us", "UTC")),
            "ingested_at": instants(arrivals(spec, random, joined)),
        }
    )
