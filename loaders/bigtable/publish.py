"""The last step of a load: the shards add up, and one conditional write shows them to readers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import structlog
from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigtable.data import Table

from loaders.bigtable import manifest as manifests
from loaders.bigtable import pointer
from loaders.bigtable.begin import abandon, discarded, superseded
from loaders.bigtable.claim import Claim
from loaders.bigtable.connection import open_table
from loaders.bigtable.deadline import load_deadline
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.manifest import GenerationManifest, GenerationState
from loaders.bigtable.pointer import read_loading, read_pointer
from loaders.bigtable.replication import wait_until_replicated
from loaders.bigtable.result import LoadOutcome, LoadResult
from loaders.bigtable.rows import hexadecimal
from loaders.bigtable.shard import load_shard
from loaders.bigtable.source import SegmentSource
from loaders.bigtable.strays import remove_cells_everywhere, stray_spans
from loaders.bigtable.writer import RowWriter
from segue.settings import Settings

_ROUNDS: Final = 5

_log = structlog.get_logger()


def publish(settings: Settings, generation: int, source: SegmentSource) -> LoadResult:
    """Makes a generation (milliseconds), all of whose shards are loaded, what readers see.

    Publishing what is published already says so again: a step that died may be repeated.

    Raises:
        LoadError: nothing was published; what was published before stays. Its code names the cause.
    """
    try:
        with open_table(settings) as table:
            return _publish(settings, table, generation, source)
    except GoogleAPIError as error:
        raise LoadError(LoadCode.UNACKNOWLEDGED, f"Bigtable did not answer: {error}") from error


def _publish(settings: Settings, table: Table, generation: int, source: SegmentSource) -> LoadResult:
    manifest = manifests.read_manifest(table, generation)
    if manifest is None or manifests.is_discarded(manifest):
        raise LoadError(LoadCode.OVERTAKEN, f"generation {generation} was discarded")
    current = read_pointer(table)
    if current is None or current.generation_ms != generation:
        if read_loading(table) != generation:
            return _lost(settings, table, manifest)
        if manifest.state is GenerationState.LOADING:
            if source.fingerprint(manifest.segment_date) != manifest.fingerprint:
                raise LoadError(
                    LoadCode.CHANGED, f"the segments of {manifest.segment_date} were published anew"
                )
            manifest = _verified(table, _without_erased(settings, table, manifest, source))
        try:
            _leave_nothing_else(settings, table, manifest)
        except LoadError as error:
            if error.code is not LoadCode.OVERTAKEN:
                raise
            return _lost(settings, table, manifest)
        if not pointer.publish(table, generation):
            current = read_pointer(table)
            # another process that loads the same generation may have been faster
            if current is None or current.generation_ms != generation:
                return _lost(settings, table, manifest)
    if manifest.state is not GenerationState.PUBLISHED:
        manifest = manifest.in_state(GenerationState.PUBLISHED)
        manifests.write_manifest(table, manifest)
    source.drop(manifest.staged)
    _log.info("generation published", generation_ms=generation, rows=manifest.rows_out)
    return LoadResult(
        outcome=LoadOutcome.PUBLISHED,
        segment_date=manifest.segment_date,
        generation_ms=generation,
        attempt=manifest.attempt,
        rows_in=manifest.rows_in,
        rows_erased=manifest.rows_erased,
        rows_out=manifest.rows_out,
        written=manifest.written,
        unchanged=manifest.unchanged,
        tombstoned=manifest.tombstoned,
        discarded=manifest.discarded,
        dead_lettered=manifest.dead_lettered,
        checksum=manifest.checksum,
        seconds=(datetime.now(UTC) - manifest.started_at).total_seconds(),
    )


def _without_erased(
    settings: Settings, table: Table, manifest: GenerationManifest, source: SegmentSource
) -> GenerationManifest:
    """Takes out who was erased since the rows were staged: the shards that have read their rows load again.

    Whoever is erased after the last look is removed by the erasure itself, which finds every cell written.
    """
    while True:
        erased = source.erased_since(manifest.started_at)
        hashes = erased.hashes["account"] if erased else frozenset()
        if erased is None or hashes <= set(manifest.erased):
            return manifest
        left = source.take_out(manifest.staged, erased, manifest.shards)
        for shard in manifests.read_shards(table, manifest.generation_ms):
            if shard.rows_in != left[shard.shard]:
                load_shard(settings, manifest.generation_ms, shard.shard, source, again=True)
        rows_in = sum(left)
        rows_erased = manifest.rows_erased + manifest.rows_in - rows_in
        manifest = manifest.model_copy(
            update={"rows_in": rows_in, "rows_erased": rows_erased, "erased": tuple(sorted(hashes))}
        )
        manifests.write_manifest(table, manifest)


def _verified(table: Table, manifest: GenerationManifest) -> GenerationManifest:
    """Adds the shards up.

    Raises:
        LoadError: ``INCOMPLETE``: a shard is missing; ``NOT_VERIFIED``: the counts do not add up.
    """
    shards = manifests.read_shards(table, manifest.generation_ms)
    missing = set(range(manifest.shards)) - {each.shard for each in shards}
    if missing:
        raise LoadError(LoadCode.INCOMPLETE, f"shards {sorted(missing)} are not loaded")
    rows_in = sum(each.rows_in for each in shards)
    rows_out = sum(each.written + each.unchanged for each in shards)
    dead = sum(each.dead_lettered for each in shards)
    if not manifest.rows_in == rows_in == rows_out + dead:
        raise LoadError(
            LoadCode.NOT_VERIFIED,
            f"generation {manifest.generation_ms} does not add up",
            {"staged": manifest.rows_in, "read": rows_in, "in Bigtable": rows_out, "dead letters": dead},
        )
    if rows_in and not rows_out:
        raise LoadError(LoadCode.REFUSED, f"no row of {manifest.segment_date} is valid", {"refused": dead})
    verified = manifest.in_state(
        GenerationState.VERIFIED,
        rows_out=rows_out,
        written=sum(each.written for each in shards),
        unchanged=sum(each.unchanged for each in shards),
        tombstoned=sum(each.tombstoned for each in shards),
        discarded=sum(each.discarded for each in shards),
        dead_lettered=dead,
        checksum=hexadecimal(sum(int(each.checksum, 16) for each in shards)),
    )
    manifests.write_manifest(table, verified)
    return verified


def _leave_nothing_else(settings: Settings, table: Table, manifest: GenerationManifest) -> None:
    """Brings every cluster to where the pointer may move: the generation whole, and no cells of others in it.

    Raises:
        LoadError: ``NOT_REPLICATED``; ``NOT_VERIFIED``: there are always new cells of others; ``OVERTAKEN``.
    """
    deadline_at = load_deadline(settings, manifest.deadline_at)
    claim = Claim(table, manifest.generation_ms)
    writer = RowWriter(table, deadline_at=deadline_at, before_request=claim.check)
    for _ in range(_ROUNDS):
        wait_until_replicated(settings, deadline_at)
        found = remove_cells_everywhere(table, stray_spans(manifest), writer, deadline_at)
        if not found:
            break
    else:
        raise LoadError(LoadCode.NOT_VERIFIED, "another load keeps writing", {"accounts": found})
    for each in manifest.discards:
        given_up = manifests.read_manifest(table, each)
        if given_up is not None and given_up.state is GenerationState.DISCARDING:
            discarded(table, given_up)


def _lost(settings: Settings, table: Table, manifest: GenerationManifest) -> LoadResult:
    """Another load or a rollback came in between: leaves nothing behind."""
    abandon(settings, table, manifest.generation_ms)
    current = read_pointer(table)
    if current is not None and current.generation_ms > manifest.generation_ms:
        return superseded(manifest.segment_date, current)
    raise LoadError(LoadCode.OVERTAKEN, "another load or a rollback came in between")
