"""The dirt that real feeds have, in amounts that the manifest knows.

Rows that a contract must refuse are extra rows with identifiers of their own, so that the truth is untouched.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.company.columns import Ints, instants
from local.company.spec import DAY_US, CompanySpec, Manifest

HOUR_US = DAY_US // 24
ABSURD_MS = 9_000_000_000_000_000
CLOCK_OF_1970 = 12_345_000_000

Tables = dict[str, pa.Table]


def _replaced(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, values)


def _microseconds(table: pa.Table, column: str) -> Ints:
    values: Ints = table[column].combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _renamed(table: pa.Table, column: str, suffix: str) -> pa.Table:
    return _replaced(table, column, pc.binary_join_element_wise(table[column], suffix, "-"))


class Dirt:
    """Adds dirty rows to one chunk's tables and counts them."""

    def __init__(self, spec: CompanySpec, random: np.random.Generator, tables: Tables, manifest: Manifest):
        self._spec = spec
        self._random = random
        self._tables = tables
        self._manifest = manifest
        self._amount = max(1, tables["accounts"].num_rows // 1_000)

    def add(self) -> None:
        """Every kind of dirt, in a fixed order."""
        self._exact_duplicates()
        self._redeliveries()
        self._same_day_repeats()
        self._clock_skew()
        self._strangers()
        self._double_refunds()
        self._refused()
        self._merges()

    def _pick(self, table: str, keep: Callable[[pa.Table], pa.Array] | None = None) -> pa.Table:
        """Some rows that arrived after the first and before the last day, at most the amount."""
        rows = self._tables[table]
        arrived = _microseconds(rows, "ingested_at")
        inside = (arrived >= self._spec.start_us + DAY_US) & (arrived < self._spec.end_us - DAY_US)
        if keep is not None:
            inside &= keep(rows).combine_chunks().to_numpy(zero_copy_only=False)
        candidates = np.nonzero(inside)[0]
        chosen = self._random.permutation(candidates)[: self._amount]
        return rows.take(pa.array(np.sort(chosen)))

    def _append(self, table: str, rows: pa.Table, kind: str, *, refused: bool = False) -> None:
        self._tables[table] = pa.concat_tables(
            [self._tables[table], rows.select(self._tables[table].column_names)]
        )
        self._manifest.dirty[kind] += rows.num_rows
        if refused:
            for day in (_microseconds(rows, "ingested_at") // DAY_US).tolist():
                self._manifest.quarantined[table][str(np.datetime64(int(day), "D"))] += 1

    def _exact_duplicates(self) -> None:
        self._append("offer_impressions", self._pick("offer_impressions"), "exact_duplicates")

    def _redeliveries(self) -> None:
        for table in ("subscription_events", "offer_impressions", "payments"):
            rows = self._pick(table)
            again = _microseconds(rows, "ingested_at") + self._random.integers(1, 20, rows.num_rows) * HOUR_US
            self._append(table, _replaced(rows, "ingested_at", instants(again)), "redeliveries")

    def _same_day_repeats(self) -> None:
        rows = _renamed(self._pick("offer_impressions"), "impression_id", "repeat")
        self._append("offer_impressions", rows, "same_day_repeats")

    def _clock_skew(self) -> None:
        rows = _renamed(self._pick("offer_impressions"), "impression_id", "skewed")
        ahead = _microseconds(rows, "ingested_at") + 2 * HOUR_US
        self._append("offer_impressions", _replaced(rows, "occurred_at", instants(ahead)), "clock_skew")

    def _strangers(self) -> None:
        clicks = _renamed(self._pick("offer_clicks"), "click_id", "orphan")
        self._append("offer_clicks", _renamed(clicks, "impression_id", "lost"), "orphan_clicks")
        shown = _renamed(self._pick("offer_impressions"), "impression_id", "ghost")
        self._append("offer_impressions", _renamed(shown, "account_id", "ghost"), "unknown_accounts")

    def _double_refunds(self) -> None:
        rows = self._pick("payments", lambda table: pc.equal(table["kind"], "refund"))
        self._append("payments", _renamed(rows, "payment_id", "again"), "double_refunds")

    def _refused(self) -> None:
        events = _renamed(self._pick("subscription_events"), "provider_event_id", "backwards")
        too_early = _microseconds(events, "period_start_at") - DAY_US
        self._append(
            "subscription_events",
            _replaced(events, "period_end_at", instants(too_early)),
            "period_end_before_start",
            refused=True,
        )
        events = _renamed(self._pick("subscription_events"), "provider_event_id", "novel")
        boosted = pa.repeat(pa.scalar("boosted"), events.num_rows)
        self._append(
            "subscription_events", _replaced(events, "event_type", boosted), "new_enum_values", refused=True
        )
        shown = _renamed(self._pick("offer_impressions"), "impression_id", "future")
        ahead = _microseconds(shown, "ingested_at") + 3 * DAY_US
        self._append(
            "offer_impressions",
            _replaced(shown, "occurred_at", instants(ahead)),
            "future_events",
            refused=True,
        )
        paid = _renamed(self._pick("payments"), "payment_id", "epoch")
        early = np.full(paid.num_rows, CLOCK_OF_1970)
        self._append(
            "payments", _replaced(paid, "occurred_at", instants(early)), "events_of_1970", refused=True
        )
        listening = self._pick("engagement_daily")
        absurd = pa.array(np.full(listening.num_rows, ABSURD_MS))
        self._append(
            "engagement_daily",
            _replaced(listening, "ms_played", absurd),
            "absurd_playing_times",
            refused=True,
        )

    def _merges(self) -> None:
        """Some payers turn out to be accounts that exist already: a later version says into which."""
        accounts = self._tables["accounts"]
        people = pc.invert(pc.or_(accounts["is_test"], accounts["is_employee"]))
        payers = pc.unique(self._tables["subscription_events"]["account_id"])
        merged = pc.and_(people, pc.is_in(accounts["account_id"], value_set=payers))
        losing = np.nonzero(merged.combine_chunks().to_numpy(zero_copy_only=False))[0]
        losing = np.sort(self._random.permutation(losing)[: self._amount])
        others = np.nonzero(people.combine_chunks().to_numpy(zero_copy_only=False))[0]
        keeping = self._random.permutation(np.setdiff1d(others, losing))[: losing.size]
        losing = losing[: keeping.size]
        rows = accounts.take(pa.array(losing))
        rows = _replaced(rows, "merged_into", accounts["account_id"].take(pa.array(keeping)))
        created = _microseconds(rows, "ingested_at")
        later = created + (
            (self._spec.end_us - created) * self._random.uniform(0.2, 0.9, losing.size)
        ).astype(np.int64)
        self._append(
            "accounts", _replaced(rows, "ingested_at", instants(later // 1000 * 1000)), "account_merges"
        )
