"""How accounts behave where what drives them is planted: who starts a trial, who leaves, whom an offer helps.

The laws are of what ``fct_account_features`` says at the end of the day before, so that a model that has
these columns can find them. A day's chances depend on nothing else, and draws are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.special import expit

from local.company.catalogue import MARKETS
from local.company.columns import Ints, account_numbers
from local.company.known_features import incomplete_day
from local.company.natural_dirt import integers
from local.company.people import BANDS, Floats, People
from local.company.spec import DAY_US, CompanySpec
from local.company.touches import Mask

FEATURE_DAYS: Final = 28
TRIAL_DAYS: Final = 14
"""Days after the feature day within which a trial counts, and for which the offer has an effect."""
CHURN_DAYS: Final = 30
"""Days after the feature day within which leaving counts: as long as a paid period."""
OFFER_MARKETS: Final = ("GB", "DE", "FR")
"""Where the offer is tried; elsewhere nobody is offered anything."""
HELPED, HARMED = "2000-2010", "1950-1969"
OFFER_EFFECTS: Final = {HELPED: 1.5, HARMED: -1.5}
"""By band of birth years: what the offer adds to the log odds of starting a trial on a day; others: 0."""


@dataclass(frozen=True)
class Described:
    """What the marts say of accounts at the end of each day of the window, accounts × days, and for good.

    A listening day counts from its arrival on. ``ad_ms_28d`` and ``skips_blocked_28d`` are those of who
    listens for free. ``band``: place in ``BANDS``; −1: not given.
    """

    streams_28d: Ints
    active_days_28d: Ints
    ad_ms_28d: Ints
    skips_blocked_28d: Ints
    market: Ints
    band: Ints

    def is_band(self, name: str) -> Mask:
        """Whose birth years lie in the band."""
        return np.asarray(self.band == BANDS.index(name))

    def is_market(self, *codes: str) -> Mask:
        """Who lives in one of the markets."""
        return np.isin(self.market, [place for place, each in enumerate(MARKETS) if each.code in codes])


def described(spec: CompanySpec, people: People, accounts: pa.Table, listening: pa.Table) -> Described:
    """The accounts by their landing rows."""
    shape = (people.number.size, spec.days + FEATURE_DAYS + 1)
    first = spec.start_us // DAY_US
    who = account_numbers(listening) - people.number[0]
    day = integers(listening, "day") - first
    known = np.maximum(day, integers(listening, "ingested_at") // DAY_US - first)
    streams, ad_ms, skips = (
        np.asarray(listening[name].to_numpy(), np.int64) for name in ("streams", "ad_ms", "skips_blocked")
    )
    # The files of one day lack a column, which then counts as nothing.
    skips = np.where(known == incomplete_day(spec), 0, skips)
    sums = []
    for amount in (np.ones_like(streams), streams, ad_ms, skips):
        change = np.zeros(shape, np.int64)
        np.add.at(change, (who, known), amount)
        np.subtract.at(change, (who, np.maximum(known, day + FEATURE_DAYS)), amount)
        sums.append(change.cumsum(axis=1)[:, : spec.days])
    bands = {name: place for place, name in enumerate(BANDS)}
    return Described(
        active_days_28d=sums[0],
        streams_28d=sums[1],
        ad_ms_28d=sums[2],
        skips_blocked_28d=sums[3],
        market=people.market,
        band=np.array([bands.get(each, -1) for each in accounts["birth_year_band"].to_pylist()], np.int64),
    )


def trial_log_odds(people: Described) -> Floats:
    """Of starting a trial on the day after each day, while one never had one; accounts × days.

    −6.3 + 0.35 a hundred streams in 28 days (up to 1,000) + 0.9 for who was born in 2000 or later − 0.7 in
    the United States.
    """
    own = 0.9 * people.is_band(HELPED) - 0.7 * people.is_market("US")
    return np.asarray(-6.3 + 0.35 * np.minimum(people.streams_28d, 1_000) / 100 + own[:, None])


def offer_log_odds(people: Described) -> Floats:
    """What the offer adds to ``trial_log_odds`` for ``TRIAL_DAYS`` days, by account."""
    effects = [effect * people.is_band(band) for band, effect in OFFER_EFFECTS.items()]
    return np.asarray(np.sum(effects, axis=0))


def churn_chance(people: Described, who: Ints, tenure_days: Ints) -> Floats:
    """Of ending at the end of a paid period, by the age of the subscription on the day before it.

    Log odds: −0.6 − 0.025 a day of age (up to 120) + 0.9 for who was born in 2000 or later − 0.8 in the
    United States.
    """
    own = 0.9 * people.is_band(HELPED)[who] - 0.8 * people.is_market("US")[who]
    return np.asarray(expit(-0.6 - 0.025 * np.minimum(tenure_days, 120) + own))


def at_least_once(chances: Floats) -> Floats:
    """Probability that something of these chances (last axis: days) happens on one of the days."""
    return np.asarray(1 - np.prod(1 - chances, axis=-1))
