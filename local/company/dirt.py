"""The dirt that real feeds have, in amounts that the manifest knows.

Rows that a contract must refuse are extra rows, most with identifiers of their own, so that the truth is
untouched. They stay a small share of their table's arrival day, because landing gives up a day of which too
much is refused.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.contracts import EVENT_TABLES
from local.company.columns import MAX_LATE_DAYS, Ints, instants
from local.company.natural_dirt import integers
from local.company.spec import DAY_US, CompanySpec, Manifest

HOUR_US = DAY_US // 24
ABSURD_MS = 9_000_000_000_000_000
CLOCK_OF_1970 = 12_345_000_000
REFUSED_SHARE = 0.01
REFUSED_SHARE_OF_SMALL_DAYS = 0.045

Tables = dict[str, pa.Table]


def _replaced(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, values)


def _renamed(table: pa.Table, column: str, suffix: str) -> pa.Table:
    return _replaced(table, column, pc.binary_join_element_wise(table[column], suffix, "-"))


class Dirt:
    """Adds ``amount`` dirty rows of each kind to one chunk's tables and counts them.

    ``spared``: accounts whose surfaces decide by what is known of them, and units of experiments: no
    impression of theirs is made up, and none of them merges.
    """

    def __init__(
        self,
        spec: CompanySpec,
        random: np.random.Generator,
        tables: Tables,
        manifest: Manifest,
        amount: int,
        spared: pa.Array,
    ) -> None:
        self._spec = spec
        self._random = random
        self._tables = tables
        self._clean = dict(tables)
        self._manifest = manifest
        self._amount = amount
        self._spared = spared
        self._refused: dict[str, Ints] = {}

    def add(self) -> None:
        """Every kind of dirt, in a fixed order."""
        self._exact_duplicates()
        self._redeliveries()
        self._same_day_repeats()
        self._clock_skew()
        self._strangers()
        self._double_refunds()
        self._refused_events()
        self._refused_measurements()
        self._merges()

    def _pick(self, table: str) -> pa.Table:
        """Clean rows that arrived after the first and before the last day, at most the amount."""
        rows = self._clean[table]
        arrived = integers(rows, "ingested_at")
        inside = (arrived >= self._spec.start_us + DAY_US) & (arrived < self._spec.end_us - DAY_US)
        # Delivered once more, it is still no later than the latest event.
        inside &= arrived < integers(rows, "occurred_at") + (MAX_LATE_DAYS - 2) * DAY_US
        if table in ("offer_impressions", "offer_clicks"):
            inside &= ~pc.is_in(rows["account_id"], value_set=self._spared).to_numpy()
        chosen = self._random.permutation(np.nonzero(inside)[0])[: self._amount]
        return rows.take(pa.array(np.sort(chosen)))

    def _append(self, table: str, rows: pa.Table, kind: str) -> Ints:
        """Add the rows, count them, return their arrival days."""
        self._tables[table] = pa.concat_tables(
            [self._tables[table], rows.select(self._tables[table].column_names)]
        )
        days: Ints = integers(rows, "ingested_at") // DAY_US
        self._manifest.count_dirt(kind, table, days)
        return days

    def _exact_duplicates(self) -> None:
        for table in ("offer_impressions", *EVENT_TABLES):
            self._append(table, self._pick(table), "exact_duplicates")

    def _redeliveries(self) -> None:
        for table in (*EVENT_TABLES, "offer_impressions", "payments"):
            rows = self._pick(table)
            again = integers(rows, "ingested_at") + self._random.integers(1, 20, rows.num_rows) * HOUR_US
            self._append(table, _replaced(rows, "ingested_at", instants(again)), "redeliveries")

    def _same_day_repeats(self) -> None:
        rows = _renamed(self._pick("offer_impressions"), "impression_id", "repeat")
        self._append("offer_impressions", rows, "same_day_repeats")

    def _clock_skew(self) -> None:
        rows = _renamed(self._pick("offer_impressions"), "impression_id", "skewed")
        minutes = self._random.integers(1, 120, rows.num_rows) * (HOUR_US // 60)
        ahead = instants(integers(rows, "ingested_at") + minutes)
        self._append("offer_impressions", _replaced(rows, "occurred_at", ahead), "clock_skew")

    def _strangers(self) -> None:
        clicks = _renamed(self._pick("offer_clicks"), "click_id", "orphan")
        self._append("offer_clicks", _renamed(clicks, "impression_id", "lost"), "orphan_clicks")
        shown = _renamed(self._pick("offer_impressions"), "impression_id", "ghost")
        self._append("offer_impressions", _renamed(shown, "account_id", "ghost"), "unknown_accounts")

    def _double_refunds(self) -> None:
        payments = self._clean["payments"]
        refunds = np.nonzero(pc.equal(payments["kind"], "refund").to_numpy())[0]
        occurred = integers(payments, "occurred_at")[refunds]
        # Those of the window first.
        order = np.lexsort((self._random.random(refunds.size), occurred < self._spec.start_us))
        rows = payments.take(pa.array(np.sort(refunds[order[: self._amount]])))
        self._append("payments", _renamed(rows, "payment_id", "again"), "double_refunds")

    def _refused_events(self) -> None:
        for name in EVENT_TABLES:
            table, events = self._pick_to_refuse({name: "provider_event_id"}, "backwards", "period_start_at")
            too_early = instants(integers(events, "period_start_at") - DAY_US)
            self._refuse(table, _replaced(events, "period_end_at", too_early), "period_end_before_start")
            table, events = self._pick_to_refuse({name: "provider_event_id"}, "novel", "plan_id")
            boosted = pa.repeat(pa.scalar("boosted"), events.num_rows)
            self._refuse(table, _replaced(events, "event_type", boosted), "new_enum_values")

    def _refused_measurements(self) -> None:
        table, rows = self._pick_to_refuse(
            {"offer_impressions": "impression_id", "payments": "payment_id"}, "future"
        )
        ahead = instants(integers(rows, "ingested_at") + 3 * DAY_US)
        self._refuse(table, _replaced(rows, "occurred_at", ahead), "future_events")
        table, rows = self._pick_to_refuse({"payments": "payment_id"}, "epoch")
        early = instants(np.full(rows.num_rows, CLOCK_OF_1970))
        self._refuse(table, _replaced(rows, "occurred_at", early), "events_of_1970")
        table, rows = self._pick_to_refuse({"engagement_daily": None}, "absurd")
        absurd = pa.array(np.full(rows.num_rows, ABSURD_MS))
        self._refuse(table, _replaced(rows, "ms_played", absurd), "absurd_playing_times")

    def _refuse(self, table: str, rows: pa.Table, kind: str) -> None:
        days = self._append(table, rows, kind)
        self._manifest.count_refused(table, days)
        self._refused[table] = np.concatenate([self._refused.get(table, days[:0]), days])

    def _pick_to_refuse(
        self, tables: dict[str, str | None], suffix: str, given: str = "ingested_at"
    ) -> tuple[str, pa.Table]:
        """Copies of rows from days that are large enough for refused rows, as many of them as may be.

        ``tables`` have the column that gets a new identifier; the rows have a value in ``given``. A small
        company has few large days: then the first day with its initial load will do, or another of the
        tables, or at last a larger share.
        """
        best, most = next(iter(tables)), np.zeros(0, np.int64)
        for share in (REFUSED_SHARE, REFUSED_SHARE_OF_SMALL_DAYS):
            for first_day in (1, 0):
                for table in tables:
                    chosen = self._large_enough(table, share, first_day, given)
                    if chosen.size > most.size:
                        best, most = table, chosen
            if most.size:
                break
        rows, column = self._clean[best].take(pa.array(most)), tables[best]
        return best, _renamed(rows, column, suffix) if column else rows

    def _large_enough(self, table: str, share: float, first_day: int, given: str) -> Ints:
        """At most ``amount`` rows whose days keep to ``share`` of refused rows; all days but the edges."""
        day = integers(self._clean[table], "ingested_at") // DAY_US - self._spec.start_us // DAY_US
        room = (np.bincount(day, minlength=self._spec.days) * share).astype(np.int64)
        taken = self._refused.get(table, day[:0]) - self._spec.start_us // DAY_US
        room -= np.bincount(taken, minlength=self._spec.days)
        room[:first_day] = 0
        room[self._spec.days - 1 :] = 0
        valid = self._clean[table][given].is_valid().to_numpy()
        candidates = self._random.permutation(np.nonzero((room[day] > 0) & valid)[0])
        # The n-th candidate of its day fits while n is below the day's room.
        by_day = np.argsort(day[candidates], kind="stable")
        days = day[candidates][by_day]
        place = np.empty(candidates.size, np.int64)
        place[by_day] = np.arange(days.size) - np.searchsorted(days, days)
        fitting: Ints = candidates[place < room[day[candidates]]][: self._amount]
        return np.sort(fitting)

    def _merges(self) -> None:
        """Some payers turn out to be accounts that exist already: a later version says into which."""
        accounts = self._clean["accounts"]
        counts = pc.value_counts(accounts["account_id"])
        # The latest version wins: one that says "merged" must not be followed or preceded by another.
        single = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
        people = pc.invert(pc.or_(accounts["is_test"], accounts["is_employee"]))
        people = pc.and_(people, pc.is_in(accounts["account_id"], value_set=single))
        people = pc.and_not(people, pc.is_in(accounts["account_id"], value_set=self._spared))
        events = pa.concat_tables([self._clean[table].select(["account_id"]) for table in EVENT_TABLES])
        payers = pc.unique(events["account_id"])
        merged = pc.and_(people, pc.is_in(accounts["account_id"], value_set=payers))
        losing = self._random.permutation(np.nonzero(merged.to_numpy())[0])[: self._amount]
        others = self._random.permutation(np.setdiff1d(np.nonzero(people.to_numpy())[0], losing))
        keeping = others[: losing.size]
        losing = losing[: keeping.size]
        rows = accounts.take(pa.array(losing))
        rows = _replaced(rows, "merged_into", accounts["account_id"].take(pa.array(keeping)))
        # Not before either account has arrived.
        known = integers(accounts, "ingested_at")
        since = np.maximum(known[losing], known[keeping])
        share = self._random.uniform(0.2, 0.9, losing.size)
        later = since + ((self._spec.end_us - since) * share).astype(np.int64)
        self._append(
            "accounts", _replaced(rows, "ingested_at", instants(later // 1000 * 1000)), "account_merges"
        )
