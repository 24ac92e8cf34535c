"""A company whose accounts behave by known laws, and the true probabilities: what a model could know at best.

It has no dirt and one offer, which is tried at random. Some accounts pay when the window begins, and leave or
stay; the others listen, and start a trial or do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from local.company.assignments import arm
from local.company.billing import event_rows, payment_rows, sorted_events
from local.company.catalogue import MARKETS, PLAN_IDS
from local.company.chunk import NUMBERS_PER_CHUNK
from local.company.columns import Ints, dates, identifiers, picked
from local.company.dirt import Tables
from local.company.lives import VOLUNTARY, Life, Subscriptions, first_openings
from local.company.people import (
    BANDS,
    SECOND_US,
    Floats,
    account_rows,
    engagement_rows,
    new_people,
)
from local.company.planted_behaviour import (
    CHURN_DAYS,
    HARMED,
    HELPED,
    OFFER_MARKETS,
    TRIAL_DAYS,
    Described,
    at_least_once,
    churn_chance,
    described,
    offer_log_odds,
    trial_log_odds,
)
from local.company.providers import by_landing_table
from local.company.spec import DAY_US, CompanySpec
from local.company.touches import Mask, Visits, new_visits, touch_rows
from local.company.trials import ARMS, PLANTED_OFFER, Trials, declared, exposure_days, exposures

_PAYS: Final = 0.4
_PAYING_DAYS: Final = 90
"""Who pays when the window begins has subscribed within so many days before it."""
_SEES: Final = 0.5
"""How often a visit comes by the offer."""


def planted_tables(spec: CompanySpec, chunk: int, first: int, count: int, truth: Path) -> Tables:
    """All tables of one chunk of accounts; what is true of them becomes a file of ``truth``."""
    company = _Planted(spec, chunk, first, count)
    pq.write_table(company.truth(), truth / f"model_probabilities-{chunk:05d}.parquet")
    return company.tables(chunk)


def planted_truth(spec: CompanySpec) -> pa.Table:
    """The truth alone, of a company of one chunk that nobody writes.

    One row a model, account and feature day: ``probability`` (of an uplift that of the arm it is in, with
    ``probability_control``, ``probability_treated`` and ``offer_group``: helped, indifferent or harmed), the
    ``outcome`` that was drawn by it, and the features that it follows from.
    """
    return _Planted(spec, 0, 0, spec.accounts).truth()


@dataclass
class _Listeners:
    """Who starts a trial when, and who saw the offer on the way; by account, −1: never or not at all."""

    trial_day: Ints
    started_at: Ints
    exposed_day: Ints
    exposed_at: Ints
    variant: Ints


class _PlantedLife(Life):
    """Periods that end or are renewed by ``churn_chance``, and nothing else; notes each with its chance."""

    def __init__(
        self, spec: CompanySpec, random: np.random.Generator, subs: Subscriptions, people: Described
    ):
        super().__init__(spec, random, subs, np.zeros(subs.account.size, bool))
        self._people = people
        self.periods: list[tuple[Ints, Ints, Ints, Floats]] = []

    def _period(self, who: Ints) -> Ints:
        subs = self.subs
        start, end = subs.period_start[who], subs.period_end[who]
        self._lived("active", who, start, end)
        tenure = end // DAY_US - 1 - subs.opened_at[who] // DAY_US
        chance = churn_chance(self._people, subs.account[who], tenure)
        # What ended before the window is in no feed of it.
        leaves = (self._chance(who) < chance) & (end >= self._start)
        self.periods.append((who, start, end, chance))
        known = self._known(end)
        gone, stays = known & leaves, known & ~leaves
        self._event("expired", who[gone], end[gone], VOLUNTARY)
        self._open(who[stays], end[stays], "renewed")
        return np.asarray(who[stays], np.int64)


class _Planted:
    def __init__(self, spec: CompanySpec, chunk: int, first: int, count: int) -> None:
        self._spec, self._chunk = spec, chunk
        nobody = np.zeros(count, bool)
        people = new_people(spec, spec.stream("people", chunk), first, count)
        self._people = people = replace(people, is_test=nobody, is_employee=nobody.copy())
        self._accounts = account_rows(spec, spec.stream("accounts", chunk), people)
        never = np.full(count, np.iinfo(np.int64).max)
        self._described = described(spec, people, self._accounts, self._listening(never))
        self._created_day = people.created_at // DAY_US - spec.start_us // DAY_US
        draw = spec.stream("planted payers", chunk)
        pays = (self._created_day < -_PAYING_DAYS) & (draw.random(count) < _PAYS)
        before = spec.start_us - draw.integers(DAY_US, _PAYING_DAYS * DAY_US, count)
        self._hazard = expit(trial_log_odds(self._described))
        self._offered = expit(trial_log_odds(self._described) + offer_log_odds(self._described)[:, None])
        visits = new_visits(spec, spec.stream("visits", chunk), people)
        self._listeners = self._listened_and_started(~pays, visits)
        self._subs = self._subscriptions(pays, before // SECOND_US * SECOND_US)
        self._life = _PlantedLife(spec, spec.stream("lives", chunk), self._subs, self._described)
        self._life.run()

    def _listening(self, pays_since: Ints) -> pa.Table:
        return engagement_rows(
            self._spec, self._spec.stream("listening", self._chunk), self._people, pays_since
        )

    def _listened_and_started(self, listens: Mask, visits: Visits) -> _Listeners:
        """Day after day: who comes by the offer, and who starts a trial, with it or without."""
        spec, count = self._spec, listens.size
        found = _Listeners(*(np.full(count, -1) for _ in range(5)))
        draw = spec.stream("planted listeners", self._chunk)
        [experiment] = declared(spec).values()
        first, last = ((each - spec.first_day).days for each in exposure_days(spec))
        where = listens & self._described.is_market(*OFFER_MARKETS)
        sees = where[visits.who] & (draw.random(visits.who.size) < _SEES)
        day_of_visit = (visits.at - spec.start_us) // DAY_US
        accounts = identifiers("a", self._people.number).to_pylist()
        for day in range(1, spec.days):
            waits = listens & (found.trial_day < 0) & (self._created_day < day)
            if first <= day <= last:
                comes = np.nonzero(sees & (day_of_visit == day))[0]
                comes = comes[waits[visits.who[comes]] & (found.exposed_day[visits.who[comes]] < 0)]
                who = visits.who[comes]
                found.exposed_day[who], found.exposed_at[who] = day, visits.at[comes]
                found.variant[who] = [arm(experiment, accounts[each]) for each in who.tolist()]
            has_offer = (found.variant == 1) & (found.exposed_day > day - TRIAL_DAYS)
            chance = np.where(has_offer, self._offered[:, day - 1], self._hazard[:, day - 1])
            starts = np.nonzero(waits & (draw.random(count) < chance))[0]
            # Whoever comes by on the day is offered it first.
            begins = spec.start_us + day * DAY_US
            earliest = np.where(found.exposed_day[starts] == day, found.exposed_at[starts], begins)
            room = begins + DAY_US - earliest - 2 * SECOND_US
            at = earliest + SECOND_US + (draw.random(starts.size) * room).astype(np.int64)
            found.trial_day[starts], found.started_at[starts] = day, at // SECOND_US * SECOND_US
        return found

    def _subscriptions(self, pays: Mask, paid_since: Ints) -> Subscriptions:
        starts = self._listeners.trial_day >= 0
        account = np.concatenate([np.nonzero(pays)[0], np.nonzero(starts)[0]])
        opened_at = np.concatenate([paid_since[pays], self._listeners.started_at[starts]])
        plan = np.full(account.size, PLAN_IDS.index("individual-month"))
        market, zeros = self._people.market[account], np.zeros(account.size, np.int64)
        return Subscriptions(
            account=account,
            market=market,
            currency_market=market.copy(),
            first_plan=plan,
            plan=plan.copy(),
            price=zeros,
            period_start=zeros.copy(),
            period_end=zeros.copy(),
            affinity=self._people.affinity[account],
            started_with_trial=np.arange(account.size) >= int(pays.sum()),
            opened_at=opened_at,
        )

    def tables(self, chunk: int) -> Tables:
        """Landing tables; what happens is told a minute later."""
        spec, subs, people = self._spec, self._subs, self._people
        number = chunk * NUMBERS_PER_CHUNK
        ids = identifiers("s", number + np.arange(subs.account.size), 12)
        events = sorted_events(self._life.events.columns(), number)
        told = np.maximum(events["at"], spec.start_us) + 60 * SECOND_US
        events["arrived"] = np.minimum(told, np.maximum(spec.end_us - 1_000, events["at"]))
        no_offer = np.full(events["sub"].size, -1)
        seen = np.nonzero(self._listeners.exposed_day >= 0)[0]
        units = Trials(
            experiment=np.zeros(seen.size, np.int64),
            who=seen,
            variant=self._listeners.variant[seen],
            exposed_at=self._listeners.exposed_at[seen],
            is_logged=np.ones(seen.size, bool),
            starts_at=np.full(seen.size, -1),
            tried=(PLANTED_OFFER,),
        )
        touches, _ = exposures(spec, spec.stream("exposures", chunk), units, 0)
        return {
            "accounts": self._accounts,
            "engagement_daily": self._listening(first_openings(subs, people.number.size)),
            "payments": payment_rows(spec, spec.stream("payments", chunk), ids, events),
            **by_landing_table(event_rows(people, subs, ids, events, no_offer)),
            **touch_rows(people, touches, number, ids),
        }

    def truth(self) -> pa.Table:
        """As ``planted_truth``; of whole windows only."""
        return pa.concat_tables([self._trial_rows(), self._churn_rows(), self._offer_rows()])

    def _trial_rows(self) -> pa.Table:
        """Of who has never had a trial and lives where nothing is offered."""
        days = np.arange(self._spec.days - TRIAL_DAYS)
        listens = np.ones(self._people.number.size, bool)
        listens[self._subs.account[~self._subs.started_with_trial]] = False
        listens &= ~self._described.is_market(*OFFER_MARKETS)
        trial_day = np.where(self._listeners.trial_day < 0, self._spec.days, self._listeners.trial_day)
        is_row = listens[:, None] & (self._created_day[:, None] <= days) & (trial_day[:, None] > days)
        who, day = np.nonzero(is_row)
        ahead = np.arange(TRIAL_DAYS)
        return self._rows(
            "trial_propensity",
            who,
            day,
            at_least_once(self._hazard[who[:, None], day[:, None] + ahead]),
            trial_day[who] <= day + TRIAL_DAYS,
        )

    def _churn_rows(self) -> pa.Table:
        """Of who pays: within thirty days exactly one of its periods ends."""
        sub, start, end, chance = (np.concatenate(each) for each in zip(*self._life.periods, strict=True))
        first = self._spec.start_us // DAY_US
        begins, ends = np.maximum(start // DAY_US - first, 0), end // DAY_US - first
        lasts = np.maximum(np.minimum(ends, self._spec.days - CHURN_DAYS) - begins, 0)
        period = np.repeat(np.arange(sub.size), lasts)
        day = np.arange(period.size) - np.repeat(lasts.cumsum() - lasts, lasts) + begins[period]
        last = np.zeros(self._subs.account.size, np.int64)
        np.maximum.at(last, sub, end)
        left = (end == last[sub]) & (end < self._spec.end_us)
        who = self._subs.account[sub[period]]
        age = day + first - self._subs.opened_at[sub[period]] // DAY_US
        return self._rows("churn_risk", who, day, chance[period], left[period], age)

    def _offer_rows(self) -> pa.Table:
        """Of the offer's units, described on the day before they came by."""
        seen = np.nonzero(self._listeners.exposed_day >= 0)[0]
        day = self._listeners.exposed_day[seen] - 1
        ahead = day[:, None] + np.arange(TRIAL_DAYS)
        control, treated = (
            at_least_once(each[seen[:, None], ahead]) for each in (self._hazard, self._offered)
        )
        is_treated = self._listeners.variant[seen] == ARMS.index("treatment")
        started = self._listeners.trial_day[seen]
        rows = self._rows(
            "trial_offer_uplift",
            seen,
            day,
            np.where(is_treated, treated, control),
            (started >= 0) & (started <= day + TRIAL_DAYS),
        )
        group = np.select(
            [self._described.is_band(HELPED)[seen], self._described.is_band(HARMED)[seen]], [0, 2], 1
        )
        found = {
            "is_treated": pa.array(is_treated),
            "probability_control": pa.array(control),
            "probability_treated": pa.array(treated),
            "offer_group": picked(("helped", "indifferent", "harmed"), group),
        }
        for name, values in found.items():
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        return rows

    def _rows(
        self, model: str, who: Ints, day: Ints, probability: Floats, outcome: Mask, age: Ints | None = None
    ) -> pa.Table:
        about = self._described
        first = self._spec.start_us // DAY_US
        return pa.table(
            {
                "model_name": pa.repeat(model, who.size),
                "feature_date": dates(first + day),
                "account_id": identifiers("a", self._people.number[who]),
                "outcome": pa.array(outcome),
                "is_treated": pa.nulls(who.size, pa.bool_()),
                "probability": pa.array(probability),
                "probability_control": pa.nulls(who.size, pa.float64()),
                "probability_treated": pa.nulls(who.size, pa.float64()),
                "offer_group": pa.nulls(who.size, pa.string()),
                "market": picked([each.code for each in MARKETS], about.market[who]),
                "birth_year_band": picked(BANDS, about.band[who]),
                "tenure_days": pa.array(day - self._created_day[who]),
                "streams_28d": pa.array(about.streams_28d[who, day]),
                "active_days_28d": pa.array(about.active_days_28d[who, day]),
                "ad_ms_28d": pa.array(about.ad_ms_28d[who, day]),
                "skips_blocked_28d": pa.array(about.skips_blocked_28d[who, day]),
                "subscription_tenure_days": pa.nulls(who.size, pa.int64()) if age is None else pa.array(age),
            }
        )
