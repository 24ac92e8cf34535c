"""The first step of a load: takes or resumes a generation, clears what dead loads left, stages the rows."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog
from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigtable.data import Table

from loaders.bigtable import manifest as manifests
from loaders.bigtable import pointer, scan
from loaders.bigtable.claim import Claim
from loaders.bigtable.connection import open_table
from loaders.bigtable.deadline import load_deadline
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.export import export_cells
from loaders.bigtable.manifest import GenerationManifest, GenerationState, LoadMode
from loaders.bigtable.pointer import read_pointer
from loaders.bigtable.replication import wait_until_replicated
from loaders.bigtable.result import LoadOutcome, LoadResult
from loaders.bigtable.source import SegmentSource
from loaders.bigtable.strays import delete_cells, remove_cells_everywhere
from loaders.bigtable.table import ensure_table
from loaders.bigtable.writer import RowWriter
from segue.logs import bound_run_id
from segue.settings import Settings
from segue_client.bigtable import schema
from segue_client.bigtable.pointer import Pointer

MAX_SHARDS: Final = 1_000
"""Airflow maps a task at most 1,024 times by default; a larger load has larger shards."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class Begun:
    """A generation whose shards may be loaded, in any order and at the same time."""

    manifest: GenerationManifest

    @property
    def shards(self) -> range:
        """Numbers of the shards; those complete already return at once."""
        return range(self.manifest.shards)


def begin(
    settings: Settings,
    segment_date: date,
    source: SegmentSource,
    mode: LoadMode | None = None,
    *,
    allow_empty: bool = False,
) -> Begun | LoadResult:
    """Takes the next attempt at a day, or resumes the unfinished one if its source is what it was.

    From here on every other load of the table is overtaken. A day older than the published one is not
    loaded: its result is ``SUPERSEDED``. A day on which nobody has an offer is not loaded while nothing is
    online: its result is ``NOBODY``. ``allow_empty`` loads it all the same: every account is unknown then.

    Raises:
        LoadError: nothing was published; what was published before stays. Its code names the cause.
    """
    ensure_table(settings)
    try:
        with open_table(settings) as table:
            while True:
                current = read_pointer(table)
                if current is not None and segment_date < current.segment_date:
                    return superseded(segment_date, current)
                begun = _Beginning(settings, table, segment_date, source, mode, current, allow_empty).run()
                if begun is not None:
                    return begun
    except GoogleAPIError as error:
        raise LoadError(LoadCode.UNACKNOWLEDGED, f"Bigtable did not answer: {error}") from error


def superseded(segment_date: date, current: Pointer) -> LoadResult:
    """The result of a load that a newer generation makes useless."""
    _log.info("load superseded", segment_date=segment_date.isoformat(), generation_ms=current.generation_ms)
    return LoadResult(LoadOutcome.SUPERSEDED, segment_date, current.generation_ms)


def abandon(settings: Settings, table: Table, generation: int, shard: int | None = None) -> None:
    """Removes the cells of a generation (milliseconds) of a load that was overtaken, unless it was published.

    Whoever overtook it may have looked for them before its last request arrived. A ``shard`` removes those of
    its own accounts. Two processes may load one generation: when one publishes it, the other leaves it alone.

    Raises:
        LoadError, google.api_core.exceptions.GoogleAPIError: some may be left; the next load removes them.
    """
    manifest, current = manifests.read_manifest(table, generation), read_pointer(table)
    if manifest is None or (current is not None and current.generation_ms == generation):
        return
    never_published = manifests.is_discarded(manifest) or (
        manifest.state is GenerationState.LOADING
        or (
            manifest.state is GenerationState.VERIFIED
            and (current is None or current.generation_ms < generation)
        )
    )
    if not never_published:
        return
    deadline_at = load_deadline(settings)
    writer, own = RowWriter(table, deadline_at=deadline_at), [(generation, generation)]
    if shard is not None:
        accounts = scan.key_range(shard, manifest.shards)
        delete_cells(writer, scan.written_in(table, own, accounts, deadline_at), own)
        return
    remove_cells_everywhere(table, own, writer, deadline_at)
    discarded(table, manifest)


def discarded(table: Table, manifest: GenerationManifest) -> None:
    """Says that a generation has no cells any more."""
    manifests.write_manifest(table, manifest.in_state(GenerationState.DISCARDED))
    manifests.delete_shards(table, manifest.generation_ms)


class _Beginning:
    def __init__(
        self,
        settings: Settings,
        table: Table,
        segment_date: date,
        source: SegmentSource,
        mode: LoadMode | None,
        current: Pointer | None,
        allow_empty: bool,
    ) -> None:
        self._settings = settings
        self._table = table
        self._segment_date = segment_date
        self._source = source
        self._mode = mode or LoadMode(settings.bigtable_load_mode)
        self._baseline = None if current is None else current.generation_ms
        self._current = current
        self._allow_empty = allow_empty

    def run(self) -> Begun | LoadResult | None:
        """``None`` when another process finished the generation, or the pointer moved, in between."""
        fingerprint = self._source.fingerprint(self._segment_date)
        known = manifests.read_manifests(self._table)
        unfinished = self._unfinished(known, fingerprint)
        manifest = unfinished or self._take_attempt(known, fingerprint)
        generation = manifest.generation_ms
        claim = Claim(self._table, generation)
        pointer.claim(self._table, generation)
        if self._pointer_moved():
            return None
        manifest = self._giving_up_others(manifest)
        if unfinished is not None:
            manifest = self._with_deadline(manifest)
            if not manifests.replace_manifest(self._table, unfinished, manifest):
                return None
        else:
            # again, because the load that held the claim before may have discarded the first one
            manifests.write_manifest(self._table, manifest)
        claim.check()
        if unfinished is None:
            manifest = self._with_deadline(self._stage(manifest))
            if manifest.rows_in == 0 and not self._may_be_empty(known):
                self._source.drop(manifest.staged)
                discarded(self._table, manifest)
                return self._nobody()
            manifests.write_manifest(self._table, manifest)
        complete = [each.shard for each in manifests.read_shards(self._table, generation)]
        self._source.forget_refused(manifest, complete)
        if manifest.mode is LoadMode.EXPORT:
            export_cells(self._settings, manifest.staged, self._segment_date, generation)
            claim.check()
        _log.info(
            "load begun",
            generation_ms=generation,
            segment_date=self._segment_date.isoformat(),
            mode=self._mode.value,
            rows=manifest.rows_in,
            shards=manifest.shards,
            discards=len(manifest.discards),
        )
        return Begun(manifest)

    def _unfinished(self, known: list[GenerationManifest], fingerprint: str) -> GenerationManifest | None:
        of_day = [each for each in known if each.segment_date == self._segment_date]
        if not of_day:
            return None
        last = of_day[-1]
        same = (
            last.state is GenerationState.LOADING
            and last.contract_version == schema.CONTRACT_VERSION
            and last.fingerprint == fingerprint
            and last.mode is self._mode
            and last.baseline_ms == self._baseline
            and self._source.is_staged(last.staged)
        )
        return last if same else None

    def _take_attempt(self, known: list[GenerationManifest], fingerprint: str) -> GenerationManifest:
        # Before any cell is added: with one more version, garbage collection may take theirs.
        for old in manifests.complete(known)[: -schema.RETAINED_GENERATIONS]:
            manifests.write_manifest(self._table, old.in_state(GenerationState.RETIRED))
        attempt = max((each.attempt for each in known if each.segment_date == self._segment_date), default=0)
        while True:
            attempt += 1
            now = self._source.now()
            first = GenerationManifest(
                generation_ms=schema.generation_ms(self._segment_date, attempt),
                segment_date=self._segment_date,
                attempt=attempt,
                state=GenerationState.LOADING,
                started_at=now,
                changed_at=now,
                mode=self._mode,
                baseline_ms=self._baseline,
                fingerprint=fingerprint,
                run_id=bound_run_id(),
            )
            if manifests.create_manifest(self._table, first):
                return first

    def _stage(self, manifest: GenerationManifest) -> GenerationManifest:
        staged = self._source.stage(self._segment_date, manifest.generation_ms)
        # Without rows one shard remains, to take out what is online.
        shards = max(1, math.ceil(staged.rows / self._settings.bigtable_rows_per_shard))
        return manifest.model_copy(
            update={
                "staged": staged.name,
                "rows_in": staged.rows,
                "rows_erased": staged.rows_erased,
                "shards": min(shards, MAX_SHARDS),
            }
        )

    def _may_be_empty(self, known: list[GenerationManifest]) -> bool:
        """Whether a generation without accounts takes nobody's offer away, or is asked for."""
        online = [each for each in known if each.generation_ms == self._baseline]
        return self._allow_empty or any(each.rows_out == 0 for each in online)

    def _nobody(self) -> LoadResult:
        """What becomes of a day on which nobody has an offer.

        Raises:
            LoadError: ``EMPTY_PARTITION``: something is online that would go.
        """
        if self._current is not None:
            raise LoadError(
                LoadCode.EMPTY_PARTITION,
                f"nobody has an offer on {self._segment_date}; generation {self._baseline} of "
                f"{self._current.segment_date} stays online",
            )
        _log.info("nothing to load", segment_date=self._segment_date.isoformat())
        return LoadResult(LoadOutcome.NOBODY, self._segment_date, None)

    def _with_deadline(self, manifest: GenerationManifest) -> GenerationManifest:
        allowed = timedelta(seconds=self._settings.bigtable_load_deadline_seconds)
        return manifest.in_state(
            GenerationState.LOADING, deadline_at=datetime.now(UTC) + allowed, run_id=bound_run_id()
        )

    def _pointer_moved(self) -> bool:
        """A rollback before the claim has not revoked it, and what it went back to is not ours to discard."""
        now = read_pointer(self._table)
        return (None if now is None else now.generation_ms) != self._baseline

    def _giving_up_others(self, manifest: GenerationManifest) -> GenerationManifest:
        """The manifest with every generation that died, or that a rollback left above the pointer.

        Nobody can go back to one of them from now on; their cells are removed by the shards.
        """
        known = manifests.read_manifests(self._table)
        for each in known:
            if each.generation_ms == self._baseline and each.state in (
                GenerationState.VERIFIED,
                GenerationState.DISCARDING,
            ):
                # its writer died after publishing it, or a rollback went there while it was given up
                manifests.write_manifest(self._table, each.in_state(GenerationState.PUBLISHED))
        published = -1 if self._baseline is None else self._baseline
        others = [
            each
            for each in known
            if each.generation_ms not in (manifest.generation_ms, published)
            and each.state is not GenerationState.DISCARDED
            and (
                each.generation_ms > published
                or each.state in (GenerationState.LOADING, GenerationState.DISCARDING)
            )
        ]
        if any(each.state is GenerationState.PUBLISHED for each in others):
            # A reader may still follow the pointer as it was before the rollback, and a cluster may not have
            # had the rollback for long.
            wait_until_replicated(self._settings, load_deadline(self._settings))
            time.sleep(schema.MAX_POINTER_STALENESS_SECONDS)
        for each in others:
            manifests.write_manifest(self._table, each.in_state(GenerationState.DISCARDING))
            self._source.drop(each.staged)
        discards = sorted({*manifest.discards, *(each.generation_ms for each in others)})
        return manifest.model_copy(
            update={"discards": tuple(discards), "spent_ms": self._spent(known, discards)}
        )

    @staticmethod
    def _spent(known: list[GenerationManifest], discards: Collection[int]) -> int | None:
        kept = manifests.retained([each for each in known if each.generation_ms not in discards])
        if not kept:
            return None
        oldest = kept[0].generation_ms
        has_tombstones = any(each.tombstoned and each.generation_ms <= oldest for each in known)
        return oldest if has_tombstones else None
