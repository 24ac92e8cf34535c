"""Accounts of a chunk and what they do besides subscribing: listening, giving consent, leaving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from local.company.catalogue import MARKETS
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


def account_days(
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
    who, day = account_days(spec, random, people, 0.08 + 0.6 * people.affinity)
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


def consent_rows(spec: CompanySpec, random: np.random.Generator, people: People) -> dict[str, pa.Table]:
    """Consents, most of them at the account's creation."""
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
