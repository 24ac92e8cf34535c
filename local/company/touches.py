"""What accounts do with offers: impressions, and the clicks and checkouts that follow some of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from local.company.catalogue import MARKETS, OFFERS, PASSING_OFFERS, SURFACES
from local.company.columns import Ints, arrivals, identifiers, instants, picked
from local.company.people import HOUR_US, SECOND_US, People, account_days
from local.company.spec import DAY_US, CompanySpec
from segue_client.decision_id import decision_id

RESULTS = ("completed", "abandoned", "failed")
Mask = NDArray[np.bool_]


@dataclass
class Visits:
    """Accounts that come by a surface, at most once a day; indices into the chunk's accounts."""

    who: Ints
    at: Ints
    surface: Ints

    def of(self, wanted: Mask) -> Visits:
        """Some of them."""
        return Visits(self.who[wanted], self.at[wanted], self.surface[wanted])


def new_visits(spec: CompanySpec, random: np.random.Generator, people: People) -> Visits:
    """Who listens more comes by more often."""
    who, day = account_days(spec, random, people, 0.06 + 0.18 * people.affinity)
    at = spec.start_us + day * DAY_US + random.integers(0, 86_340, who.size) * SECOND_US
    visits = Visits(who, at, random.integers(0, len(SURFACES), who.size))
    return visits.of(at > people.created_at[who])


@dataclass(frozen=True)
class Decided:
    """What a surface was told about an offer, as it reports it."""

    offer_id: str
    is_shown: bool = True
    generation: int | None = None
    content_version: int | None = None
    rule_id: str | None = None
    rule_version: int | None = None
    experiment_id: str | None = None
    variant: str | None = None

    def replaced(self, **changes: Any) -> Decided:
        """The same with other fields."""
        return replace(self, **changes)


@dataclass
class Touches:
    """Impressions, and which of them led to a click and a checkout; indices into the chunk's accounts.

    ``decided``: what the surface reports of its decisions; None: it reports nothing.
    """

    who: Ints
    at: Ints
    arrived: Ints
    click_at: Ints
    click_arrived: Ints
    checkout_at: Ints
    checkout_arrived: Ints
    offer: Ints
    surface: Ints
    clicked: Mask
    checked_out: Mask
    result: Ints
    sub: Ints
    decided: list[Decided] | None = None

    @property
    def size(self) -> int:
        """Number of impressions."""
        return int(self.who.size)


@dataclass
class Openings:
    """What an offer can lead to: trials, starts and returns, by account and subscription of the chunk."""

    account: Ints
    sub: Ints
    at: Ints
    is_trial: Mask
    is_return: Mask

    def of(self, wanted: Mask) -> Openings:
        """Some of them."""
        return Openings(**{each.name: getattr(self, each.name)[wanted] for each in fields(self)})


def casual_touches(spec: CompanySpec, random: np.random.Generator, people: People, visits: Visits) -> Touches:
    """Offers shown in passing: some are clicked, fewer reach a checkout, none of those completes."""
    who, at = visits.who, visits.at
    clicked = random.random(who.size) < 0.04 + 0.15 * people.affinity[who]
    click_at = at + random.integers(5, 120, who.size) * SECOND_US
    checkout_at = click_at + random.integers(20, 400, who.size) * SECOND_US
    checked_out = clicked & (random.random(who.size) < 0.2)
    return Touches(
        who=who,
        at=at,
        arrived=arrivals(spec, random, at),
        click_at=click_at,
        click_arrived=arrivals(spec, random, click_at),
        checkout_at=checkout_at,
        checkout_arrived=arrivals(spec, random, checkout_at),
        offer=random.integers(0, PASSING_OFFERS, who.size),
        surface=visits.surface,
        clicked=clicked & (click_at < spec.end_us),
        checked_out=checked_out & (checkout_at < spec.end_us),
        result=random.integers(1, len(RESULTS), who.size),
        sub=np.full(who.size, -1),
    )


def leading_touches(
    spec: CompanySpec, random: np.random.Generator, people: People, openings: Openings, by_others: Mask
) -> tuple[Touches, Ints]:
    """The offers that led to most openings in the window, and the offer of each opening (−1: none).

    ``by_others``: accounts whose surfaces report what leads to their openings.
    """
    created = people.created_at[openings.account]
    earliest = np.maximum(created, spec.start_us)
    led = (openings.at >= earliest + HOUR_US) & (random.random(openings.at.size) < 0.6)
    led &= ~by_others[openings.account]
    size = int(led.sum())
    at = openings.at[led]
    offer = random.integers(0, PASSING_OFFERS, size)
    fitting = random.random(size) < 0.6
    offer = np.where(fitting & openings.is_trial[led], OFFERS.index("trial-30-days"), offer)
    offer = np.where(fitting & openings.is_return[led], OFFERS.index("winback-3-months"), offer)
    checkout_at = at - random.integers(2, 50, size) * SECOND_US
    click_at = checkout_at - random.integers(20, 400, size) * SECOND_US
    before = np.minimum(random.exponential(20, size) * HOUR_US, 6 * DAY_US).astype(np.int64)
    shown_at = np.maximum(click_at - 5 * SECOND_US - before, earliest[led] + SECOND_US) // 1000 * 1000
    everyone = np.ones(size, bool)
    offer_of_opening = np.full(openings.at.size, -1)
    offer_of_opening[led] = offer
    touches = Touches(
        who=openings.account[led],
        at=shown_at,
        arrived=arrivals(spec, random, shown_at),
        click_at=click_at,
        click_arrived=arrivals(spec, random, click_at),
        checkout_at=checkout_at,
        checkout_arrived=arrivals(spec, random, checkout_at),
        offer=offer,
        surface=random.integers(0, len(SURFACES), size),
        clicked=everyone,
        checked_out=everyone,
        result=np.zeros(size, np.int64),
        sub=openings.sub[led],
    )
    return touches, offer_of_opening


def touch_rows(
    people: People, touches: Touches, first_number: int, subscription_ids: pa.Array
) -> dict[str, pa.Table]:
    """Impressions, clicks and checkouts; numbers start at ``first_number``, the same for a chain."""
    numbers = np.arange(first_number, first_number + touches.size)

    def common(rows: Ints, at: Ints, arrived: Ints) -> dict[str, pa.Array]:
        return {
            "account_id": identifiers("a", people.number[touches.who[rows]]),
            "offer_id": picked(OFFERS, touches.offer[rows]),
            "surface": picked(SURFACES, touches.surface[rows]),
            "market": picked([m.code for m in MARKETS], people.market[touches.who[rows]]),
            "occurred_at": instants(at[rows]),
            "ingested_at": instants(arrived[rows]),
        }

    shown = np.arange(touches.size)
    clicks = np.nonzero(touches.clicked)[0]
    checkouts = np.nonzero(touches.checked_out)[0]
    bought = touches.sub[checkouts]
    subscription = subscription_ids.take(pa.array(bought, mask=bought < 0))
    impressions = {"impression_id": identifiers("i", numbers, 12)}
    impressions |= common(shown, touches.at, touches.arrived)
    return {
        "offer_impressions": pa.table(impressions | _reported(touches, impressions["account_id"])),
        "offer_clicks": pa.table(
            {
                "click_id": identifiers("c", numbers[clicks], 12),
                "impression_id": identifiers("i", numbers[clicks], 12),
            }
            | common(clicks, touches.click_at, touches.click_arrived)
        ),
        "checkouts": pa.table(
            {
                "checkout_id": identifiers("o", numbers[checkouts], 12),
                "click_id": identifiers("c", numbers[checkouts], 12),
                "result": picked(RESULTS, touches.result[checkouts]),
                "subscription_id": subscription,
            }
            | common(checkouts, touches.checkout_at, touches.checkout_arrived)
        ),
    }


_REPORTED = {
    "is_shown": pa.bool_(),
    "generation": pa.int64(),
    "content_version": pa.int64(),
    "rule_id": pa.string(),
    "rule_version": pa.int64(),
    "experiment_id": pa.string(),
    "variant": pa.string(),
}


def _reported(touches: Touches, accounts: pa.Array) -> dict[str, pa.Array]:
    if touches.decided is None:
        # An old client tells that it showed something, and no more.
        kinds = _REPORTED | {"decision_id": pa.string()}
        return {name: pa.nulls(touches.size, kind) for name, kind in kinds.items()}
    columns = {
        name: pa.array([getattr(each, name) for each in touches.decided], kind)
        for name, kind in _REPORTED.items()
    }
    ids = [
        decision_id(account, each.generation, each.rule_id) if each.generation and each.rule_id else None
        for account, each in zip(accounts.to_pylist(), touches.decided, strict=True)
    ]
    return columns | {"decision_id": pa.array(ids, pa.string())}
