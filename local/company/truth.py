"""The company's own truth, from its lives and not from its files; for tests, never for the pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.contracts import SubscriptionEvent
from local.company.billing import CURRENCY_OF_MARKET
from local.company.catalogue import (
    CURRENCIES,
    INTERVAL_COUNTS,
    INTERVALS,
    PLAN_IDS,
    PLAN_RHYTHM,
    RHYTHMS,
    usd_rates_micro,
)
from local.company.columns import Ints, amounts, dates, identifiers, instants, picked
from local.company.lives import STATES, Subscriptions, first_openings
from local.company.people import People
from local.company.spec import DAY_US, CompanySpec
from local.company.trials import ARMS, TRIED, Trials, window_end

_CURRENCY_OF_MARKET = np.array([CURRENCIES.index(currency) for currency in CURRENCY_OF_MARKET])
_IN_A_YEAR = np.array([{"week": 52, "month": 12, "year": 1}[interval] for interval, _ in RHYTHMS])


def half_even(numerator: Ints, denominator: Ints | int) -> Ints:
    """Quotients of non-negative integers, rounded half to even."""
    whole, rest = np.divmod(numerator, denominator)
    up = (2 * rest > denominator) | ((2 * rest == denominator) & (whole % 2 == 1))
    return np.asarray(whole + up, np.int64)


def month_cents(price: Ints, plan: Ints) -> Ints:
    """Hundredths a month of a price in hundredths a rhythm."""
    rhythm = PLAN_RHYTHM[plan]
    return half_even(price * _IN_A_YEAR[rhythm], 12 * INTERVAL_COUNTS[rhythm])


class Truth:
    """Collects what was true, chunk by chunk.

    An interval that lasts beyond the window has a null ``to_at``: its end is not decided yet.

    """

    def __init__(self, spec: CompanySpec, folder: Path) -> None:
        self._spec = spec
        self._folder = folder
        self._writer: pq.ParquetWriter | None = None
        self._event_writer: pq.ParquetWriter | None = None
        # (currency, cents a month, counted as trial) → change of the number active at day end, by day
        self._changes: dict[tuple[int, int, bool], Ints] = {}

    def add(self, people: People, subs: Subscriptions, ids: pa.Array, lived: dict[str, Ints]) -> None:
        """Intervals of one chunk; test and employee accounts are written but not counted."""
        sub = lived["sub"]
        apart = (people.is_test | people.is_employee)[subs.account[sub]]
        intervals = pa.table(
            {
                "subscription_id": ids.take(pa.array(sub)),
                "account_id": identifiers("a", people.number[subs.account[sub]]),
                "is_test": pa.array(apart),
                "state": picked(STATES, lived["state"]),
                "from_at": instants(lived["since"]),
                "to_at": instants(lived["until"], lived["until"] < self._spec.end_us),
                "plan_id": picked(PLAN_IDS, lived["plan"]),
                "price_amount": amounts(lived["price"]),
                "currency": picked(CURRENCY_OF_MARKET, lived["market"]),
                "interval": picked(INTERVALS, PLAN_RHYTHM[lived["plan"]]),
                "interval_count": pa.array(INTERVAL_COUNTS[PLAN_RHYTHM[lived["plan"]]]),
            }
        )
        if self._writer is None:
            path = self._folder / "subscription_intervals.parquet"
            self._writer = pq.ParquetWriter(path, intervals.schema)
        self._writer.write_table(intervals)
        trial = lived["state"] == STATES.index("trial")
        cents = np.where(trial, 0, month_cents(lived["price"], lived["plan"]))
        currency = _CURRENCY_OF_MARKET[lived["market"]]
        first = np.maximum((lived["since"] - self._spec.start_us) // DAY_US, 0)
        # Active just before 24:00 of day d: since < (d + 1) days <= until.
        beyond = np.minimum((lived["until"] - self._spec.start_us) // DAY_US, self._spec.days)
        counted = ~apart & (beyond > first)
        keys = np.stack([currency, cents, trial.astype(np.int64)])[:, counted]
        unique, place = np.unique(keys, axis=1, return_inverse=True)
        change = np.zeros((unique.shape[1], self._spec.days + 1), np.int64)
        np.add.at(change, (place.ravel(), first[counted]), 1)
        np.add.at(change, (place.ravel(), beyond[counted]), -1)
        for row, key in enumerate(unique.T.tolist()):
            label = (key[0], key[1], bool(key[2]))
            self._changes[label] = self._changes.get(label, 0) + change[row]

    def add_events(self, tables: dict[str, pa.Table]) -> None:
        """Canonical events of one chunk by landing table, dirty ones included, as providers tell them."""
        for table, rows in tables.items():
            rows = rows.select(list(SubscriptionEvent.model_fields))
            rows = rows.append_column("landing_table", pa.repeat(pa.scalar(table), rows.num_rows))
            if self._event_writer is None:
                path = self._folder / "subscription_events.parquet"
                self._event_writer = pq.ParquetWriter(path, rows.schema)
            self._event_writer.write_table(rows)

    def add_trials(
        self, people: People, subs: Subscriptions, trials: Trials
    ) -> dict[str, dict[str, dict[str, int]]]:
        """Units of the experiments, of one chunk only; returns the amounts by experiment and arm."""
        opened_at = first_openings(subs, people.number.size)
        subscribes = opened_at[trials.who] < window_end(trials.exposed_at)
        rows = pa.table(
            {
                "experiment_id": picked([each.id for each in TRIED], trials.experiment),
                "account_id": identifiers("a", people.number[trials.who]),
                "variant": picked(ARMS, trials.variant),
                "exposed_at": instants(trials.exposed_at),
                "is_reported": pa.array(trials.is_logged),
                "is_subscribing": pa.array(subscribes),
            }
        )
        pq.write_table(rows, self._folder / "experiment_units.parquet")
        amounts: dict[str, dict[str, dict[str, int]]] = {}
        for row in rows.to_pylist():
            arms = amounts.setdefault(row["experiment_id"], {})
            arm = arms.setdefault(row["variant"], {"units": 0, "reported": 0, "subscribing": 0})
            arm["units"] += 1
            arm["reported"] += row["is_reported"]
            arm["subscribing"] += row["is_reported"] and row["is_subscribing"]
        return amounts

    def add_mistakes(self, impression_ids: pa.Array, mistakes: list[str | None]) -> None:
        """What surfaces report otherwise than it was decided; of one chunk only."""
        told = pa.table({"impression_id": impression_ids, "mistake": pa.array(mistakes, pa.string())})
        pq.write_table(told.filter(told["mistake"].is_valid()), self._folder / "impression_mistakes.parquet")

    def close(self) -> None:
        """Finish what is written by chunk, and write ``days.parquet`` (day × currency)."""
        for writer in (self._writer, self._event_writer):
            if writer is not None:
                writer.close()
        days, currencies = self._spec.days, len(CURRENCIES)
        active, trials, mrr, usd = (np.zeros((currencies, days), np.int64) for _ in range(4))
        rates = usd_rates_micro(self._spec)
        for (currency, cents, is_trial), change in sorted(self._changes.items()):
            count = change.cumsum()[:days]
            active[currency] += count
            trials[currency] += count if is_trial else 0
            mrr[currency] += count * cents
            usd[currency] += count * half_even(cents * rates[currency], 1_000_000)
        day = np.tile(self._spec.start_us // DAY_US + np.arange(days), currencies)
        pq.write_table(
            pa.table(
                {
                    "day": dates(day),
                    "currency": picked(CURRENCIES, np.repeat(np.arange(currencies), days)),
                    "active_subscriptions": pa.array(active.ravel()),
                    "paid_subscriptions": pa.array((active - trials).ravel()),
                    "trial_subscriptions": pa.array(trials.ravel()),
                    "mrr_amount": amounts(mrr.ravel()),
                    "mrr_usd_amount": amounts(usd.ravel()),
                }
            ),
            self._folder / "days.parquet",
        )
