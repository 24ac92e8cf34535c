"""Billing as the providers would deliver it: events, payments, members of shared plans."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from local.company.catalogue import (
    INTERVAL_COUNTS,
    INTERVALS,
    MARKETS,
    OFFERS,
    PLAN_IDS,
    PLAN_RHYTHM,
    PLAN_SEATS,
    PROVIDERS,
)
from local.company.columns import Ints, amounts, arrivals, identifiers, instants, picked
from local.company.lives import CODE, EVENT_TYPES, REASONS, Subscriptions
from local.company.people import People
from local.company.spec import DAY_US, CompanySpec

CURRENCY_OF_MARKET = [market.currency for market in MARKETS]
_OPENING = [CODE["trial_started"], CODE["started"], CODE["reactivated"]]
_TURNING_OFF = [CODE["auto_renew_off"], CODE["revoked"], CODE["expired"]]
_CHARGING = [CODE[kind] for kind in ("trial_converted", "started", "renewed", "reactivated", "recovered")]
_DECLINES = ("insufficient_funds", "expired_card", "do_not_honor")


def is_opening(events: dict[str, Ints]) -> NDArray[np.bool_]:
    """Whether each event opens a trial or a paid life."""
    return np.isin(events["kind"], _OPENING)


def sorted_events(events: dict[str, Ints], first_number: int) -> dict[str, Ints]:
    """Events in the order of their subscriptions and times, numbered from ``first_number``."""
    order = np.lexsort((events["kind"], events["at"], events["sub"]))
    events = {name: values[order] for name, values in events.items()}
    return events | {"number": np.arange(first_number, first_number + order.size)}


def event_rows(
    people: People,
    subs: Subscriptions,
    subscription_ids: pa.Array,
    events: dict[str, Ints],
    offers: Ints,
) -> pa.Table:
    """Canonical events of all providers; ``offers`` stand on the opening events they led to (−1: none).

    Beside the columns of ``subscription_events``: ``bought_at``, the latest opening, ``list_price``, which a
    payload has also where it is no news, and the plan and the currency before, for payloads that tell them.
    """
    sub, kind = events["sub"], events["kind"]
    of_trial = kind == CODE["trial_started"]
    turned_off = np.isin(kind, _TURNING_OFF)
    turned_on = np.isin(kind, [*_OPENING, *_CHARGING, CODE["auto_renew_on"]])
    # Every life begins with an opening, which says that it renews: nothing is carried from another life.
    latest_switch = np.maximum.accumulate(np.where(turned_on | turned_off, np.arange(kind.size), 0))
    latest_opening = np.maximum.accumulate(np.where(is_opening(events), np.arange(kind.size), 0))
    before = np.maximum(np.arange(kind.size) - 1, 0)
    return pa.table(
        {
            "provider": picked(PROVIDERS, subs.provider(sub)),
            "provider_event_id": identifiers("e", events["number"], 12),
            "subscription_id": subscription_ids.take(pa.array(sub)),
            "account_id": identifiers("a", people.number[subs.account[sub]]),
            "event_type": picked(EVENT_TYPES, kind),
            "plan_id": picked(PLAN_IDS, events["plan"]),
            "price_amount": amounts(events["price"]),
            "is_price_unknown": pa.nulls(sub.size, pa.bool_()),
            "currency": picked(CURRENCY_OF_MARKET, events["market"]),
            "interval": picked(INTERVALS, PLAN_RHYTHM[events["plan"]]),
            "interval_count": pa.array(INTERVAL_COUNTS[PLAN_RHYTHM[events["plan"]]]),
            "trial_ends_at": instants(events["period_end"], of_trial),
            "period_start_at": instants(events["period_start"]),
            "period_end_at": instants(events["period_end"]),
            "auto_renew": pa.array(turned_on[latest_switch]),
            "reason": picked(REASONS[1:], events["reason"] - 1),
            "offer_id": picked(OFFERS, offers),
            # Nobody's billing is exported again.
            "export_name": pa.nulls(kind.size, pa.string()),
            "export_covers": pa.nulls(kind.size, pa.string()),
            "occurred_at": instants(events["at"]),
            "ingested_at": instants(events["arrived"]),
            "bought_at": instants(events["at"][latest_opening]),
            "list_price": amounts(events["price"]),
            "plan_before": picked(PLAN_IDS, events["plan"][before]),
            "currency_before": picked(CURRENCY_OF_MARKET, events["market"][before]),
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
            "attempt": pa.array(np.where(kind[wanted] == CODE["recovered"], 2, 1)),
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
    """Payer and members of subscriptions opened on a shared plan; members join a day later, some leave."""
    seats = PLAN_SEATS[subs.first_plan]
    shared = np.nonzero(seats > 1)[0]
    others = np.repeat(shared, random.integers(1, seats[shared]))
    sub = np.concatenate([shared, others])
    role = np.concatenate([np.zeros(shared.size, np.int64), np.ones(others.size, np.int64)])
    invited = random.integers(0, people.number.size, others.size)
    account = np.concatenate([subs.account[shared], invited])
    joined = subs.opened_at[sub] + role * DAY_US
    # Nobody is invited twice, nor by oneself: the payer's own row comes first.
    _, first = np.unique(np.stack([sub, account]), axis=1, return_index=True)
    keep = np.zeros(sub.size, bool)
    keep[first] = True
    keep &= (joined < spec.end_us) & (joined >= people.created_at[account])
    sub, role, account, joined = sub[keep], role[keep], account[keep], joined[keep]
    left = joined + random.integers(5, 400, joined.size) * DAY_US
    # A row says what was known when it arrived, so only an initial load can tell of a leaving.
    leaves = (role == 1) & (random.random(joined.size) < 0.2) & (left < spec.start_us)
    return pa.table(
        {
            "subscription_id": subscription_ids.take(pa.array(sub)),
            "account_id": identifiers("a", people.number[account]),
            "role": picked(("payer", "member"), role),
            "joined_at": instants(joined),
            "left_at": instants(left, leaves),
            "ingested_at": instants(arrivals(spec, random, joined)),
        }
    )
