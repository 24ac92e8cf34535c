"""Loads and verifies one shard: the accounts of one range of row keys. One process loads one shard."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigtable.data import ReadRowsQuery, Table

from loaders.bigtable import manifest as manifests
from loaders.bigtable import mutations, scan
from loaders.bigtable.claim import Claim
from loaders.bigtable.connection import open_table
from loaders.bigtable.deadline import load_deadline
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.filters import visible_at
from loaders.bigtable.manifest import GenerationManifest, LoadMode, ShardManifest
from loaders.bigtable.rows import (
    TAIL_BYTES,
    Digests,
    Refused,
    Rows,
    checksum,
    encode_rows,
    hexadecimal,
    key_digests,
    tail,
)
from loaders.bigtable.scan import Content, key_range
from loaders.bigtable.source import SegmentSource
from loaders.bigtable.strays import remove_spent_tombstones, remove_strays
from loaders.bigtable.writer import Entries, RowWriter
from loaders.warehouse.erasures import ErasedSubjects
from segue.settings import Settings
from segue.telemetry import present_step
from segue_client.bigtable.row_key import account_id_of

SAMPLE_ROWS: Final = 200
"""How many accounts, chosen evenly at random, are read back as a reader does and compared byte for byte."""

ROWS_PER_BATCH: Final = 20_000
BYTES_PER_BATCH: Final = 64_000_000
_ROUNDS: Final = 5

_log = structlog.get_logger()


def load_shard(
    settings: Settings, generation: int, shard: int, source: SegmentSource, *, again: bool = False
) -> ShardManifest:
    """Writes what the shard's accounts need, verifies it, and says so in the shard's manifest.

    A shard that is complete already is returned as it is, unless it is to be loaded ``again`` because staged
    rows were taken out; an interrupted one is loaded again, with the same timestamps and therefore the same
    cells.

    Raises:
        LoadError: the shard is not complete. Its code names the cause.
    """
    try:
        with open_table(settings) as table:
            manifest = manifests.read_manifest(table, generation)
            if manifest is None or manifests.is_discarded(manifest):
                raise LoadError(LoadCode.OVERTAKEN, f"generation {generation} was discarded")
            for done in manifests.read_shards(table, generation):
                if done.shard == shard and not again:
                    return done
            with present_step().span("load.shard", shard=shard, generation=generation) as span:
                done = _Shard(settings, table, manifest, shard, source).run()
                span.set_attributes({"rows": done.rows_in})
                return done
    except GoogleAPIError as error:
        raise LoadError(LoadCode.UNACKNOWLEDGED, f"Bigtable did not answer: {error}") from error


class _Shard:
    def __init__(
        self,
        settings: Settings,
        table: Table,
        manifest: GenerationManifest,
        shard: int,
        source: SegmentSource,
    ) -> None:
        self._settings = settings
        self._table = table
        self._manifest = manifest
        self._shard = shard
        self._source = source
        self._accounts = key_range(shard, manifest.shards)
        self._generation = manifest.generation_ms
        self._tail = tail(manifest.segment_date, self._generation)
        self._claim = Claim(table, self._generation)
        self._deadline_at = load_deadline(settings, manifest.deadline_at)
        self._sample = _Sample(SAMPLE_ROWS)
        self._rows_in = 0
        self._refused: list[Refused] = []
        self._key_digests: list[Digests] = []
        self._row_digests: list[Digests] = []
        self._sent: list[Digests] = []

    def run(self) -> ShardManifest:
        started = time.monotonic()
        discarded = self._clear()
        before = self._before()
        known = np.sort(before.digests)
        self._refused += self._writer(self._tolerated()).write(self._changed(known)).refused
        self._stop_above_threshold()
        accepted, accepted_keys = self._accepted()
        gone = before.keys.filter(pa.array(~np.isin(before.key_digests, accepted_keys)))
        tombstoned, found = self._settle(gone, accepted)
        self._verify(found, accepted)
        self._keep_refused()
        self._claim.check()
        done = ShardManifest(
            generation_ms=self._generation,
            shard=self._shard,
            rows_in=self._rows_in,
            written=len(found.digests),
            unchanged=len(accepted) - len(found.digests),
            tombstoned=tombstoned,
            dead_lettered=len(self._refused),
            discarded=discarded,
            checksum=hexadecimal(checksum(accepted)),
            sampled=len(self._sample.rows),
            finished_at=datetime.now(UTC),
        )
        manifests.write_shard(self._table, done)
        _log.info(
            "shard loaded",
            **done.model_dump(mode="json", exclude={"finished_at"}),
            seconds=round(time.monotonic() - started, 1),
        )
        return done

    def _clear(self) -> int:
        """Removes what dead loads and long gone accounts left; returns how many held cells of the former."""
        writer = self._writer(0)
        arguments = (writer, self._accounts, self._deadline_at)
        if self._manifest.spent_ms is not None:
            remove_spent_tombstones(self._table, self._manifest.spent_ms, *arguments)
        return remove_strays(self._table, self._manifest, *arguments) if self._manifest.discards else 0

    def _before(self) -> Content:
        """What readers see now, which is what this generation shows where it writes nothing."""
        baseline = self._manifest.baseline_ms
        if baseline is None:
            nothing = np.zeros(0, np.uint64)
            return Content(pa.array([], pa.binary()), nothing, nothing)
        look = scan.visible if self._manifest.mode is LoadMode.DELTA else scan.visible_keys
        return look(self._table, baseline, self._accounts, self._deadline_at)

    def _changed(self, known: Digests) -> Iterator[Entries]:
        """Encodes the source; yields the entries of rows that readers do not see as they are now."""
        for batch in _regrouped(self._source.rows(self._manifest.staged, self._accounts)):
            rows = encode_rows(batch)
            self._rows_in += batch.num_rows
            self._refused += rows.refused
            self._key_digests.append(rows.key_digests)
            self._row_digests.append(rows.digests)
            self._sample.offer(rows)
            if self._manifest.mode is LoadMode.EXPORT:
                continue
            keys, contents, digests = rows.keys, rows.contents, rows.digests
            if self._manifest.mode is LoadMode.DELTA and len(known):
                places = np.minimum(np.searchsorted(known, digests), len(known) - 1)
                changed = known[places] != digests
                keys, contents, digests = keys.filter(changed), contents.filter(changed), digests[changed]
            self._sent.append(digests)
            if len(keys):
                yield Entries(keys, mutations.set_offers(keys, contents, self._generation, self._tail))

    def _accepted(self) -> tuple[Digests, Digests]:
        """Digests of the rows, and of the keys, that this generation shows.

        Raises:
            LoadError: ``INVALID_ROW``: the source lists an account twice.
        """
        rows, keys = _joined(self._row_digests), _joined(self._key_digests)
        if len(np.unique(keys)) != len(keys):
            raise LoadError(
                LoadCode.INVALID_ROW,
                f"shard {self._shard} lists accounts twice",
                {"rows": len(keys), "accounts": len(np.unique(keys))},
            )
        refused = key_digests([each.row_key for each in self._refused])
        kept = ~np.isin(keys, refused)
        return rows[kept], keys[kept]

    def _settle(self, gone: pa.Array, accepted: Digests) -> tuple[int, Content]:
        """Tombstones accounts that are gone, until this generation's cells are of the source's rows only.

        Cells of other rows are there when an interrupted attempt wrote a row that is refused now.
        """
        writer = self._writer(0)
        if len(gone):
            self._tombstone(writer, gone)
        for _ in range(_ROUNDS):
            found, tombstoned = scan.written(self._table, self._generation, self._accounts, self._deadline_at)
            strange = found.keys.filter(pa.array(~np.isin(found.digests, accepted)))
            if not len(strange):
                return tombstoned, found
            ours = np.isin(key_digests(strange), _joined(self._key_digests))
            refused = np.isin(key_digests(strange), key_digests([each.row_key for each in self._refused]))
            if (ours & ~refused).any():
                raise LoadError(
                    LoadCode.NOT_VERIFIED,
                    f"shard {self._shard}: the checksum of rows read back differs from the source's",
                    {"accounts": int((ours & ~refused).sum())},
                )
            self._tombstone(writer, strange)
        raise LoadError(LoadCode.NOT_VERIFIED, "another load keeps writing", {"accounts": len(strange)})

    def _tombstone(self, writer: RowWriter, keys: pa.Array) -> None:
        """Makes accounts unknown from this generation on.

        Of an erased one no trace may stay: this load's own cell is removed, the others are the erasure's.
        """
        erased = self._source.erased_since(self._manifest.started_at)
        mask = pa.array(
            [erased is not None and _is_erased(erased, key) for key in keys.to_pylist()], pa.bool_()
        )
        named, others = keys.filter(mask), keys.filter(pc.invert(mask))
        if len(named):
            own = mutations.delete_offers(named, [(self._generation, self._generation)])
            writer.write([Entries(named, own)])
        if len(others):
            writer.write([Entries(others, mutations.tombstones(others, self._generation))])

    def _verify(self, found: Content, accepted: Digests) -> None:
        """Raises LoadError ``NOT_VERIFIED`` unless a reader of this generation would see the source."""
        sent = _joined(self._sent)
        expected = accepted if self._manifest.mode is LoadMode.EXPORT else sent[np.isin(sent, accepted)]
        missing = int((~np.isin(expected, found.digests)).sum())
        if missing:
            raise LoadError(
                LoadCode.NOT_VERIFIED,
                f"shard {self._shard}: rows that were acknowledged are not there",
                {"sent": len(expected), "missing": missing},
            )
        wrong = self._wrong_in_sample()
        # the last requests of a load that this one overtook show where this one is silent
        if wrong and remove_strays(
            self._table, self._manifest, self._writer(0), self._accounts, self._deadline_at
        ):
            wrong = self._wrong_in_sample()
        if wrong:
            raise LoadError(
                LoadCode.NOT_VERIFIED, "accounts read back differ from their source", {"accounts": wrong}
            )

    def _wrong_in_sample(self) -> int:
        """How many accounts of the sample a reader would not see as the source has them."""
        refused = {each.row_key for each in self._refused}
        expected_cells = {key: body + self._tail for _, key, body in self._sample.rows if key not in refused}
        if not expected_cells:
            return 0
        query = ReadRowsQuery(row_keys=list(expected_cells), row_filter=visible_at(self._generation))
        seen = {row.row_key: bytes(row.cells[0].value) for row in self._table.read_rows(query)}
        wrong = sum(not _is_row_key(key) for key in expected_cells)
        for key, cell in expected_cells.items():
            stored = seen.get(key, b"")
            is_new = stored[-8:] == self._tail[-8:]
            # a row that did not change keeps the tail of the generation that wrote it
            wrong += stored != cell if is_new else stored[:-TAIL_BYTES] != cell[:-TAIL_BYTES]
        return wrong

    def _writer(self, max_refused: int) -> RowWriter:
        return RowWriter(
            self._table,
            before_request=self._claim.check,
            deadline_at=self._deadline_at,
            max_refused=max_refused,
        )

    def _keep_refused(self) -> None:
        """Keeps refused rows once, however often the shard was begun; without any, asks BigQuery nothing."""
        look = manifests.note_refused if self._refused else manifests.has_noted_refused
        noted = look(self._table, self._generation, self._shard)
        if self._refused or noted:
            self._source.keep_refused(self._manifest, self._shard, self._refused, instead=noted)

    def _tolerated(self) -> int:
        share = self._settings.max_dead_letter_share * self._manifest.rows_in / self._manifest.shards
        return max(self._settings.max_dead_letters, int(share))

    def _stop_above_threshold(self) -> None:
        if len(self._refused) <= self._tolerated():
            return
        self._keep_refused()
        counts: dict[str, int] = {}
        for each in self._refused:
            counts[each.code] = counts.get(each.code, 0) + 1
        raise LoadError(
            LoadCode.REFUSED,
            f"shard {self._shard}: {len(self._refused)} of {self._rows_in} rows refused, more than "
            f"{self._tolerated()}, one of them with: {self._refused[0].told}",
            counts,
        )


class _Sample:
    """A uniform random sample of a stream whose length is not known: the rows with the smallest lots."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._random = np.random.default_rng(random.SystemRandom().getrandbits(64))
        self.rows: list[tuple[float, bytes, bytes]] = []

    def offer(self, rows: Rows) -> None:
        lots = self._random.random(len(rows))
        bound = self.rows[-1][0] if len(self.rows) == self._size else 1.0
        chosen = np.flatnonzero(lots < bound)
        if len(chosen) > self._size:
            chosen = chosen[np.argpartition(lots[chosen], self._size)[: self._size]]
        drawn = [
            (float(lots[index]), rows.keys[int(index)].as_py(), rows.contents[int(index)].as_py())
            for index in chosen
        ]
        self.rows = sorted(self.rows + drawn)[: self._size]


def _regrouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of a size that is worth a column's while and fits an Arrow array, whatever the pages' size."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        start = 0
        per_row = batch.nbytes / max(batch.num_rows, 1)
        most = max(1, min(ROWS_PER_BATCH, int(BYTES_PER_BATCH / max(per_row, 1))))
        while start < batch.num_rows:
            part = batch.slice(start, max(1, min(most - rows, batch.num_rows - start)))
            start += part.num_rows
            waiting.append(part)
            rows += part.num_rows
            size += int(part.num_rows * per_row)
            if rows >= most or size >= BYTES_PER_BATCH:
                yield pa.concat_batches(waiting)
                waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_batches(waiting)


def _is_erased(erased: ErasedSubjects, key: bytes) -> bool:
    return _is_row_key(key) and erased.names("account", account_id_of(key))


def _is_row_key(key: bytes) -> bool:
    """Whether readers would look the account up there: the key is computed in SQL."""
    try:
        account_id_of(key)
    except ValueError:
        return False
    return True


def _joined(parts: list[Digests]) -> Digests:
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)
