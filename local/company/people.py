"""Accounts of a chunk and what they do besides subscribing: listening, seeing offers, giving consent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from local.company.catalogue import MARKETS, OFFERS, SURFACES
from local.company.columns import Ints, arrivals, dates, identifiers, instants, picked
from local.company.lives import MARKET_SHARES
from local.company.spec import DAY_US, CompanySpec

Floats = NDArray[np.float64]
PURPOSES = ("marketing", "personalisation")
BANDS = ("1950-1969", "1970-1984", "1985-1999", "2000-2010")
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US


@dataclass
class People:
    """Accounts of a chunk; ``number`` is the account's number in the whole company."""

    number: Ints
    created_at: Ints
    market: Ints
    affinity: Floats
    is_test: NDArray[np.bool_]
    is_employee: NDArray[np.bool_]


def new_people(spec: CompanySpec, random: np.random.Generator, first: int, count: int) -> People:
    """Two thirds existed before the window, up to two years; the others join during it."""
    age = random.random(count)
    before = spec.start_us - (random.random(count) * 730 * DAY_US).astype(np.int64)
    during = spec.start_us + (random.random(count) * (spec.days * DAY_US - DAY_US // 24)).astype(np.int64)
    return People(
        number=np.arange(first, first + count, dtype=np.int64),
        created_at=np.where(age < 0.67, before, during) // 1000 * 1000,
        market=random.choice(len(MARKETS), count, p=MARKET_SHARES / MARKET_SHARES.sum()).astype(np.int64),
        affinity=random.beta(2, 3, count),
        is_test=random.random(count) < 0.005,
        is_employee=random.random(count) < 0.005,
    )


def account_rows(spec: CompanySpec, random: np.random.Generator, people: People) -> pa.Table:
    """The first version of every account."""
    size = people.number.size
    initial = spec.start_us + random.integers(SECOND_US, 60 * SECOND_US, size)
    arrived = np.where(people.created_at < spec.start_us, initial, people.created_at + 1_000)
    codes = [market.code for market in MARKETS]
    return pa.table(
        {
            "account_id": identifiers("a", people.number),
            "created_at": instants(people.created_at),
            "market": picked(codes, people.market),
            "locale": picked([market.locale for market in MARKETS], people.market),
            "birth_year_band": picked(BANDS, random.integers(-1, len(BANDS), size)),
            "is_test": pa.array(people.is_test),
            "is_employee": pa.array(people.is_employee),
            "merged_into": pa.nulls(size, pa.string()),
            "deleted_at": pa.nulls(size, pa.timestamp("us", "UTC")),
            "ingested_at": instants(arrived // 1000 * 1000),
        }
    )


def _account_days(
    spec: CompanySpec, random: np.random.Generator, people: People, chance: Floats
) -> tuple[Ints, Ints]:
    """(account index, day index) of the days on which something happens to an account that exists."""
    hit = random.random((people.number.size, spec.days)) < chance[:, None]
    who, day = np.nonzero(hit)
    exists = people.created_at[who] < spec.start_us + (day + 1) * DAY_US
    return who[exists].astype(np.int64), day[exists].astype(np.int64)


def engagement_rows(
    spec: CompanySpec, random: np.random.Generator, people: People, pays_since: Ints
) -> pa.Table:
    """A row per listening day; who likes the service listens more and subscribes more.

    ``pays_since``: first instant of a subscription by account, for ads; the maximum when there is none.
    """
    who, day = _account_days(spec, random, people, 0.08 + 0.6 * people.affinity)
    streams = random.poisson(4 + 50 * people.affinity[who]).astype(np.int64)
    played = np.minimum(streams * random.integers(150_000, 230_000, who.size), 80_000_000)
    free = pays_since[who] > spec.start_us + day * DAY_US
    closing = spec.start_us + (day + 1) * DAY_US - random.integers(SECOND_US, 1800 * SECOND_US, who.size)
    late = (random.random(who.size) < 0.03) * random.integers(1, 4, who.size) * DAY_US
    arrived = np.where(closing + late < spec.end_us, closing + late, closing)
    return pa.table(
        {
            "account_id": identifiers("a", people.number[who]),
            "day": dates(spec.start_us // DAY_US + day),
            "streams": pa.array(streams),
            "ms_played": pa.array(played),
            "ad_ms": pa.array(np.where(free, streams * 9_000, 0)),
            "skips_blocked": pa.array(np.where(free, random.poisson(0.2 * streams), 0).astype(np.int64)),
            "ingested_at": instants(arrived // 1000 * 1000),
        }
    )


@dataclass
class Touches:
    """Impressions, and which of them led to a click and a checkout; indices into the chunk's accounts."""

    who: Ints
    at: Ints
    click_at: Ints
    checkout_at: Ints
    offer: Ints
    surface: Ints
    clicked: NDArray[np.bool_]
    checked_out: NDArray[np.bool_]
    result: Ints
    sub: Ints

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
    is_trial: NDArray[np.bool_]
    is_return: NDArray[np.bool_]


RESULTS = ("completed", "abandoned", "failed")


def casual_touches(spec: CompanySpec, random: np.random.Generator, people: People) -> Touches:
    """Offers shown in passing: some are clicked, fewer reach a checkout, none of those completes."""
    who, day = _account_days(spec, random, people, 0.06 + 0.18 * people.affinity)
    at = spec.start_us + day * DAY_US + random.integers(0, 86_340, who.size) * SECOND_US
    existing = at > people.created_at[who]
    who, at = who[existing], at[existing]
    clicked = random.random(who.size) < 0.04 + 0.15 * people.affinity[who]
    checked_out = clicked & (random.random(who.size) < 0.2)
    click_at = at + random.integers(5, 120, who.size) * SECOND_US
    return Touches(
        who=who,
        at=at,
        click_at=click_at,
        checkout_at=click_at + random.integers(20, 400, who.size) * SECOND_US,
        offer=random.integers(0, len(OFFERS), who.size),
        surface=random.integers(0, len(SURFACES), who.size),
        clicked=clicked,
        checked_out=checked_out,
        result=random.integers(1, len(RESULTS), who.size),
        sub=np.full(who.size, -1),
    )


def leading_touches(
    spec: CompanySpec, random: np.random.Generator, people: People, openings: Openings
) -> tuple[Touches, Ints]:
    """The offers that led to most openings in the window, and the offer of each opening (−1: none)."""
    created = people.created_at[openings.account]
    earliest = np.maximum(created, spec.start_us)
    led = (openings.at >= earliest + HOUR_US) & (random.random(openings.at.size) < 0.6)
    size = int(led.sum())
    at = openings.at[led]
    offer = random.integers(0, len(OFFERS), size)
    fitting = random.random(size) < 0.6
    offer = np.where(fitting & openings.is_trial[led], OFFERS.index("trial-30-days"), offer)
    offer = np.where(fitting & openings.is_return[led], OFFERS.index("winback-3-months"), offer)
    checkout_at = at - random.integers(2, 50, size) * SECOND_US
    click_at = checkout_at - random.integers(20, 400, size) * SECOND_US
    before = np.minimum(random.exponential(20, size) * HOUR_US, 6 * DAY_US).astype(np.int64)
    shown_at = np.maximum(click_at - 5 * SECOND_US - before, earliest[led] + SECOND_US)
    everyone = np.ones(size, bool)
    offer_of_opening = np.full(openings.at.size, -1)
    offer_of_opening[led] = offer
    touches = Touches(
        who=openings.account[led],
        at=shown_at // 1000 * 1000,
        click_at=click_at,
        checkout_at=checkout_at,
        offer=offer,
        surface=random.integers(0, len(SURFACES), size),
        clicked=everyone,
        checked_out=everyone,
        result=np.zeros(size, np.int64),
        sub=openings.sub[led],
    )
    return touches, offer_of_opening


def touch_rows(
    spec: CompanySpec,
    random: np.random.Generator,
    people: People,
    touches: Touches,
    first_number: int,
    subscription_ids: pa.Array,
) -> dict[str, pa.Table]:
    """Impressions, clicks and checkouts; numbers start at ``first_number``, the same for a chain."""
    numbers = np.arange(first_number, first_number + touches.size)
    click_at, checkout_at = touches.click_at, touches.checkout_at

    def common(rows: Ints, at: Ints) -> dict[str, pa.Array]:
        return {
            "account_id": identifiers("a", people.number[touches.who[rows]]),
            "offer_id": picked(OFFERS, touches.offer[rows]),
            "surface": picked(SURFACES, touches.surface[rows]),
            "market": picked([m.code for m in MARKETS], people.market[touches.who[rows]]),
            "occurred_at": instants(at[rows]),
            "ingested_at": instants(arrivals(spec, random, at[rows])),
        }

    shown = np.arange(touches.size)
    clicks = np.nonzero(touches.clicked & (click_at < spec.end_us))[0]
    checkouts = np.nonzero(touches.checked_out & (checkout_at < spec.end_us))[0]
    generation = (touches.at // DAY_US - 1) * DAY_US // 1000 + 1
    bought = touches.sub[checkouts]
    subscription = subscription_ids.take(pa.array(bought, mask=bought < 0))
    return {
        "offer_impressions": pa.table(
            {
                "impression_id": identifiers("i", numbers, 12),
                "decision_id": identifiers("d", numbers, 12),
                "generation": pa.array(generation),
                "content_version": pa.array(np.ones(touches.size, np.int64)),
            }
            | common(shown, touches.at)
        ),
        "offer_clicks": pa.table(
            {
                "click_id": identifiers("c", numbers[clicks], 12),
                "impression_id": identifiers("i", numbers[clicks], 12),
            }
            | common(clicks, click_at)
        ),
        "checkouts": pa.table(
            {
                "checkout_id": identifiers("o", numbers[checkouts], 12),
                "click_id": identifiers("c", numbers[checkouts], 12),
                "result": picked(RESULTS, touches.result[checkouts]),
                "subscription_id": subscription,
            }
            | common(checkouts, checkout_at)
        ),
    }


def consent_rows(spec: CompanySpec, random: np.random.Generator, people: People) -> dict[str, pa.Table]:
    """Consents, most of them at the account's creation, and an experiment's assignments."""
    size = people.number.size
    at = np.maximum(people.created_at, spec.start_us) + SECOND_US
    answered = np.nonzero(random.random((len(PURPOSES), size)) < 0.5)
    granted = random.random(answered[1].size) < 0.85
    # Some take it back later.
    withdrawn = np.nonzero(granted & (random.random(granted.size) < 0.04))[0]
    purpose, who = (np.concatenate([axis, axis[withdrawn]]) for axis in answered)
    later = _until_the_end(spec, random, at[who[answered[1].size :]])
    asked_at = np.concatenate([at[answered[1]], later])
    granted = np.concatenate([granted, np.zeros(withdrawn.size, bool)])
    assigned = np.nonzero(random.random(size) < 0.5)[0]
    return {
        "consents": pa.table(
            {
                "account_id": identifiers("a", people.number[who]),
                "purpose": picked(PURPOSES, purpose),
                "granted": pa.array(granted),
                "occurred_at": instants(asked_at),
                "ingested_at": instants(arrivals(spec, random, asked_at)),
            }
        ),
        "experiment_assignments": pa.table(
            {
                "experiment_id": picked(("trial-length-2026",), np.zeros(assigned.size, np.int64)),
                "account_id": identifiers("a", people.number[assigned]),
                "variant": picked(("control", "treatment"), random.integers(0, 2, assigned.size)),
                "salt_version": pa.array(np.ones(assigned.size, np.int64)),
                "occurred_at": instants(at[assigned]),
                "ingested_at": instants(arrivals(spec, random, at[assigned])),
            }
        ),
    }


def deletion_rows(
    spec: CompanySpec, random: np.random.Generator, people: People, accounts: pa.Table
) -> dict[str, pa.Table]:
    """A few ask to be deleted; two days later a version of the account says that it was."""
    leaving = np.nonzero(random.random(people.number.size) < 0.003)[0]
    asked_at = _until_the_end(spec, random, np.maximum(people.created_at[leaving], spec.start_us))
    gone = asked_at + 2 * DAY_US < spec.end_us
    deleted_at = asked_at[gone] + 2 * DAY_US
    versions = accounts.take(pa.array(leaving[gone]))
    for column, values in (("deleted_at", deleted_at), ("ingested_at", deleted_at + 1_000)):
        place = versions.schema.get_field_index(column)
        versions = versions.set_column(place, column, instants(values))
    return {
        "accounts": pa.concat_tables([accounts, versions]),
        "deletion_requests": pa.table(
            {
                "request_id": identifiers("r", people.number[leaving]),
                "account_id": identifiers("a", people.number[leaving]),
                "requested_at": instants(asked_at),
                "ingested_at": instants(arrivals(spec, random, asked_at)),
            }
        ),
    }


def _until_the_end(spec: CompanySpec, random: np.random.Generator, since: Ints) -> Ints:
    """An instant after each of ``since``, within the window, on whole milliseconds."""
    share = random.random(since.size)
    later = since + SECOND_US + (np.maximum(spec.end_us - since - 2 * SECOND_US, 0) * share).astype(np.int64)
    return np.minimum(later, spec.end_us - 1_000) // 1000 * 1000
