"""Listeners who start a trial by a known law, in a company that is otherwise as usual.

They come to those who subscribe anyway, so that a model of who starts a trial has something to find, while
the company keeps its dirt, its surfaces and its experiments. The law is of sums of four weeks: so four weeks
of listening before the window arrive on its first day.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.special import expit

from local.company.columns import Ints, instants
from local.company.lives import Subscriptions, first_openings
from local.company.people import HOUR_US, SECOND_US, Floats, People, account_rows, engagement_rows
from local.company.planted_behaviour import FEATURE_DAYS, HELPED, Described, described
from local.company.spec import DAY_US, CompanySpec
from local.company.trials import opened_trials

YOUNG_DAYS: Final = 21
_DAYS_BEFORE: Final = 90
"""The law is older than the window: who was there before it and has not started yet is who is left."""
_MEAN_AGE_DAYS: Final = 157
"""A third of the accounts of the last day has come within two months."""
_OLDEST_DAYS: Final = 730
_MINUTE_US: Final = 60 * SECOND_US


def steadily_grown(spec: CompanySpec, chunk: int, people: People) -> People:
    """The accounts with other ages: those of a company that grows by the same share every day.

    So ages are spread alike on every day of the window, and a model finds the accounts that it learned from.
    """
    ages = spec.stream("ages", chunk).exponential(_MEAN_AGE_DAYS, people.number.size)
    before_the_end = HOUR_US + (np.minimum(ages, _OLDEST_DAYS) * DAY_US).astype(np.int64)
    return replace(people, created_at=(spec.end_us - before_the_end) // 1000 * 1000)


def listening_rows(spec: CompanySpec, chunk: int, people: People, pays_since: Ints) -> pa.Table:
    """``engagement_rows`` of the window, and where trials are planted of the four weeks before it."""
    rows = engagement_rows(spec, spec.stream("listening", chunk), people, pays_since)
    if not spec.plants_trials:
        return rows
    before = replace(spec, days=FEATURE_DAYS, end_date=spec.first_day - timedelta(days=1))
    random = spec.stream("listening before", chunk)
    earlier = engagement_rows(before, random, people, pays_since)
    arrived = spec.start_us + random.integers(SECOND_US, _MINUTE_US, earlier.num_rows) // 1000 * 1000
    place = earlier.schema.get_field_index("ingested_at")
    return pa.concat_tables([earlier.set_column(place, "ingested_at", instants(arrived)), rows])


def trial_log_odds(people: Described, streams_28d: Ints, tenure_days: Ints) -> Floats:
    """Of starting a trial on the day after each day, for who has had no subscription; accounts × days.

    −7.2 + 3.5 in an account's first three weeks + 0.3 a hundred streams in 28 days (up to 1,000) + 0.9 for
    who was born in 2000 or later − 0.7 in the United States.
    """
    own = 0.9 * people.is_band(HELPED) - 0.7 * people.is_market("US")
    streams = np.minimum(streams_28d, 1_000) / 100
    return np.asarray(-7.2 + 3.5 * (tenure_days < YOUNG_DAYS) + 0.3 * streams + own[:, None])


def started_trials(
    spec: CompanySpec, chunk: int, people: People, subs: Subscriptions, members: Ints
) -> Subscriptions:
    """Of ordinary accounts that have no subscription in ``subs`` and belong to nobody's."""
    never = np.full(people.number.size, np.iinfo(np.int64).max)
    # Of the same random numbers as the rows that are landed.
    accounts = account_rows(spec, spec.stream("accounts", chunk), people)
    about = described(spec, people, accounts, listening_rows(spec, chunk, people, never))
    waits = (first_openings(subs, people.number.size) == never) & ~(people.is_test | people.is_employee)
    waits[members] = False
    day = np.arange(-_DAYS_BEFORE, spec.days - 1)
    tenure = day - (people.created_at // DAY_US - spec.start_us // DAY_US)[:, None]
    # What they listened to before the window's first day is taken to be what they did by then.
    streams = about.streams_28d[:, np.maximum(day, 0)]
    draw = spec.stream("listeners", chunk)
    starts = draw.random(tenure.shape) < expit(trial_log_odds(about, streams, tenure))
    starts &= waits[:, None] & (tenure >= 0)
    account = np.nonzero(starts.any(axis=1))[0]
    # A day's chance is of what its features say, and counts on the day after.
    begins = spec.start_us + (day[starts[account].argmax(axis=1)] + 1) * DAY_US
    at = begins + draw.integers(SECOND_US, DAY_US - _MINUTE_US, account.size)
    return opened_trials(people, account, at // SECOND_US * SECOND_US)
