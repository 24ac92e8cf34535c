"""Loads the segments of a day as a new generation and publishes it.

Before the pointer moves, readers see nothing of it. A writer that dies at any point leaves cells above
the pointer or under a manifest in state ``loading``; the next load of any day removes those first, so
that it ends with the content of its own day only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
import structlog
from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigtable.data import Table

from loaders.bigtable import manifest as manifests
from loaders.bigtable import pointer, scan
from loaders.bigtable.encode import Checksum, encode_batch
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.manifest import GenerationManifest, GenerationState
from loaders.bigtable.result import LoadOutcome, LoadResult
from loaders.bigtable.table import ensure_table
from loaders.bigtable.writer import RowWriter, delete_offers, set_offers
from segue.settings import Settings
from serving import schema
from serving.connection import open_table
from serving.pointer import Pointer, read_loading, read_pointer
from serving.row_key import account_id_of

SAMPLE_ROWS: Final = 200
"""How many accounts, chosen evenly at random, are read back as a reader does and compared byte for byte."""

_TOMBSTONE_ROUNDS: Final = 5

_log = structlog.get_logger()


SegmentSource = Callable[[Settings, date], Iterator[pa.RecordBatch]]
"""Gives the rows of a day's ``offer_segments`` in record batches."""


def load_generation(settings: Settings, segment_date: date, read: SegmentSource) -> LoadResult:
    """Loads the rows that ``read`` gives as a generation of ``segment_date`` and publishes it.

    Loading a published day again makes a new generation of it. A day older than the published one is not
    loaded: its outcome is ``SUPERSEDED``.

    Raises:
        LoadError: nothing was published; what was published before stays. Its code names the cause.
    """
    started = time.monotonic()
    ensure_table(settings)
    try:
        with open_table(settings) as table:
            current = read_pointer(table)
            if current is not None and segment_date < current.segment_date:
                return _superseded(segment_date, current)
            return _Load(settings, table, segment_date, read, started).run()
    except GoogleAPIError as error:
        raise LoadError(LoadCode.UNACKNOWLEDGED, f"Bigtable did not answer: {error}") from error


class _Load:
    """One attempt at one day."""

    def __init__(
        self, settings: Settings, table: Table, segment_date: date, read: SegmentSource, started: float
    ) -> None:
        self._settings = settings
        self._table = table
        self._segment_date = segment_date
        self._read = read
        self._started = started
        self._writer = RowWriter(table, before_request=self._stop_if_overtaken)
        self._checksum = Checksum()
        self._sample = _Sample(SAMPLE_ROWS)
        self._manifest = self._begin()
        self._generation = self._manifest.generation_ms
        self._log = _log.bind(generation_ms=self._generation, segment_date=segment_date.isoformat())

    def run(self) -> LoadResult:
        pointer.claim(self._table, self._generation)
        # again, because the load that held the claim before may have discarded the first one
        manifests.write_manifest(self._table, self._manifest)
        try:
            current = read_pointer(self._table)
            discarded = self._discard_unpublished(current)
            written = self._writer.write(self._entries())
            if self._checksum.rows == 0:
                raise LoadError(LoadCode.EMPTY_PARTITION, f"no published segments of {self._segment_date}")
            tombstoned = self._remove_the_gone()
            self._verify(written)
        except LoadError as error:
            if error.code not in (LoadCode.OVERTAKEN, LoadCode.NOT_VERIFIED) or self._holds_claim():
                raise
            # the load that overtook this one may have looked for leftovers before the last request
            self._discard(self._manifest, RowWriter(self._table))
            raise LoadError(LoadCode.OVERTAKEN, "another load or a rollback came in between") from error
        verified = self._manifest.in_state(
            GenerationState.VERIFIED,
            rows_in=self._checksum.rows,
            rows_out=written,
            tombstoned=tombstoned,
            checksum=self._checksum.hexdigest(),
        )
        manifests.write_manifest(self._table, verified)
        if not pointer.publish(self._table, self._generation):
            return self._not_published(verified)
        manifests.write_manifest(self._table, verified.in_state(GenerationState.PUBLISHED))
        self._remove_spent_tombstones()
        result = LoadResult(
            outcome=LoadOutcome.PUBLISHED,
            segment_date=self._segment_date,
            generation_ms=self._generation,
            attempt=verified.attempt,
            rows_in=verified.rows_in,
            rows_out=verified.rows_out,
            tombstoned=tombstoned,
            discarded=discarded,
            checksum=verified.checksum,
            seconds=time.monotonic() - self._started,
        )
        self._log.info("generation published", rows=written, tombstoned=tombstoned, discarded=discarded)
        return result

    def _begin(self) -> GenerationManifest:
        """Takes the next attempt at the day."""
        known = manifests.read_manifests(self._table)
        # Before any cell is added: with one more version, garbage collection may take theirs.
        for old in manifests.complete(known)[: -schema.RETAINED_GENERATIONS]:
            manifests.write_manifest(self._table, old.in_state(GenerationState.RETIRED))
        attempt = max((each.attempt for each in known if each.segment_date == self._segment_date), default=0)
        while True:
            attempt += 1
            now = datetime.now(UTC)
            first = GenerationManifest(
                generation_ms=schema.generation_ms(self._segment_date, attempt),
                segment_date=self._segment_date,
                attempt=attempt,
                state=GenerationState.LOADING,
                started_at=now,
                changed_at=now,
            )
            if manifests.create_manifest(self._table, first):
                return first

    def _entries(self) -> Iterator[Any]:
        for batch in self._read(self._settings, self._segment_date):
            for key, payload in encode_batch(batch, self._segment_date, self._generation):
                self._checksum.add(key, payload)
                self._sample.offer(key, payload)
                yield set_offers(key, payload, self._generation)

    def _holds_claim(self) -> bool:
        return read_loading(self._table) == self._generation

    def _stop_if_overtaken(self) -> None:
        if not self._holds_claim():
            raise LoadError(LoadCode.OVERTAKEN, "another load or a rollback came in between")

    def _discard_unpublished(self, current: Pointer | None) -> int:
        """Removes the cells of every generation that died, or that a rollback left above the pointer."""
        published = -1 if current is None else current.generation_ms
        unpublished = [
            each
            for each in manifests.read_manifests(self._table)
            if each.generation_ms != self._generation
            and each.state is not GenerationState.DISCARDED
            and (each.generation_ms > published or each.state is GenerationState.LOADING)
        ]
        if current is not None and any(each.state is GenerationState.PUBLISHED for each in unpublished):
            # a reader may still follow the pointer as it was before the rollback
            age = (datetime.now(UTC) - current.published_at).total_seconds()
            bound = schema.MAX_POINTER_STALENESS_SECONDS
            time.sleep(min(bound, max(0.0, bound - age)))
        removed = sum(self._discard(each, self._writer) for each in unpublished)
        self._stop_if_overtaken()
        return removed

    def _discard(self, unpublished: GenerationManifest, writer: RowWriter) -> int:
        generation = unpublished.generation_ms
        removed = writer.write(
            delete_offers(key, generation, generation) for key in scan.written_in(self._table, generation)
        )
        manifests.write_manifest(self._table, unpublished.in_state(GenerationState.DISCARDED))
        return removed

    def _remove_the_gone(self) -> int:
        """Tombstones every account that this generation would show with an older cell, until there is none.

        Usually the second look finds nothing; only the last requests of a load that was overtaken add to it.
        """
        tombstoned = 0
        for _ in range(_TOMBSTONE_ROUNDS):
            found = self._writer.write(
                set_offers(key, b"", self._generation)
                for key in scan.leftovers_from_before(self._table, self._generation)
            )
            if found == 0:
                return tombstoned
            tombstoned += found
        raise LoadError(LoadCode.NOT_VERIFIED, "another load keeps writing", {"accounts": found})

    def _verify(self, written: int) -> None:
        """Raises LoadError ``NOT_VERIFIED`` unless a reader of this generation would see the source."""
        compare_content(self._table, self._generation, written, self._checksum.hexdigest())
        wrong = sum(self._read_as_reader(key) != payload for key, payload in self._sample.rows)
        if wrong:
            raise LoadError(
                LoadCode.NOT_VERIFIED, "accounts read back differ from their source", {"accounts": wrong}
            )

    def _read_as_reader(self, key: bytes) -> bytes | None:
        row = self._table.read_row(key, row_filter=schema.visible_at(self._generation))
        return None if row is None else bytes(row.cells[0].value)

    def _not_published(self, verified: GenerationManifest) -> LoadResult:
        current = read_pointer(self._table)
        self._discard(verified, RowWriter(self._table))
        if current is not None and current.generation_ms > self._generation:
            return _superseded(self._segment_date, current)
        raise LoadError(LoadCode.OVERTAKEN, "another load or a rollback came in between")

    def _remove_spent_tombstones(self) -> None:
        """Removes what is left of accounts that were gone already in the oldest generation one can go to."""
        kept = manifests.retained(manifests.read_manifests(self._table))
        oldest = kept[0].generation_ms
        self._writer.write(delete_offers(key, None, oldest) for key in scan.removed_by(self._table, oldest))


class _Sample:
    """A uniform random sample of a stream whose length is not known (reservoir)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen = 0
        self._random = random.Random()
        self.rows: list[tuple[bytes, bytes]] = []

    def offer(self, key: bytes, payload: bytes) -> None:
        self._seen += 1
        if len(self.rows) < self._size:
            self.rows.append((key, payload))
        elif (place := self._random.randrange(self._seen)) < self._size:
            self.rows[place] = (key, payload)


def compare_content(table: Table, generation: int, rows: int, checksum: str) -> None:
    """Reads the cells of a generation back and compares them with what was written.

    Raises:
        LoadError: ``NOT_VERIFIED``, with the counts that differ.
    """
    found = Checksum()
    for key, payload in scan.payloads_of(table, generation):
        account_id_of(key)
        found.add(key, payload)
    if found.rows != rows:
        raise LoadError(
            LoadCode.NOT_VERIFIED,
            f"generation {generation} is not what was written",
            {"written": rows, "found": found.rows},
        )
    if found.hexdigest() != checksum:
        raise LoadError(
            LoadCode.NOT_VERIFIED,
            f"generation {generation} has checksum {found.hexdigest()}, written was {checksum}",
        )


def compare(table: Table, generation: int, rows: int, checksum: str) -> None:
    """Compares everything that a generation shows to readers with what was written.

    Raises:
        LoadError: ``NOT_VERIFIED``, with the counts that differ.
    """
    compare_content(table, generation, rows, checksum)
    if leftovers := sum(1 for _ in scan.leftovers_from_before(table, generation)):
        raise LoadError(
            LoadCode.NOT_VERIFIED,
            f"generation {generation} shows accounts that are not in it",
            {"accounts": leftovers},
        )


def _superseded(segment_date: date, current: Pointer) -> LoadResult:
    _log.info("load superseded", segment_date=segment_date.isoformat(), generation_ms=current.generation_ms)
    return LoadResult(LoadOutcome.SUPERSEDED, segment_date, current.generation_ms)
