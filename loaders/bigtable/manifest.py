"""The loader's account of every generation and of each of its shards, one row each in the offers table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final

from google.cloud.bigtable.data import DeleteAllFromRow, ReadRowsQuery, RowRange, SetCell, Table
from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    ColumnQualifierRegexFilter,
    FamilyNameRegexFilter,
    RowFilterChain,
    ValueRangeFilter,
)
from pydantic import BaseModel, ConfigDict, Field

from segue_client.bigtable import schema

SHARD_PREFIX: Final = b"!shard#"
_REFUSED_QUALIFIER: Final = b"refused"


def _newest_cell(qualifier: bytes) -> RowFilterChain:
    return RowFilterChain(
        filters=[
            FamilyNameRegexFilter(schema.META_FAMILY),
            ColumnQualifierRegexFilter(qualifier),
            CellsColumnLimitFilter(1),
        ]
    )


_FILTER = _newest_cell(schema.MANIFEST_QUALIFIER)
_REFUSED = _newest_cell(_REFUSED_QUALIFIER)


class GenerationState(StrEnum):
    """How far a generation came."""

    LOADING = "loading"
    """Cells are being written, or the writer died."""
    VERIFIED = "verified"
    """Complete and compared; not published, or its writer died right after publishing it."""
    PUBLISHED = "published"
    """Was what readers see, and is again after a rollback to it."""
    RETIRED = "retired"
    """Too old to go back to: garbage collection may have taken cells of it."""
    DISCARDING = "discarding"
    """Never published, or rolled back: its cells are being removed by the load that began next."""
    DISCARDED = "discarded"
    """Its cells were removed."""


class LoadMode(StrEnum):
    """Which rows are sent."""

    DELTA = "delta"
    """Those that differ from what the published generation shows."""
    FULL = "full"
    """All."""
    EXPORT = "export"
    """All, by BigQuery's EXPORT DATA; the shards then compare and add what is missing."""


class GenerationManifest(BaseModel):
    """One generation. Counts are accounts; ``checksum`` is of all keys and contents, in any order.

    ``rows_in`` = ``rows_out`` + ``dead_lettered``, and ``rows_out`` = ``written`` + ``unchanged``.
    """

    model_config = ConfigDict(frozen=True)

    generation_ms: int
    segment_date: date
    attempt: int
    state: GenerationState
    contract_version: int = schema.CONTRACT_VERSION
    started_at: datetime
    changed_at: datetime
    mode: LoadMode = LoadMode.DELTA
    baseline_ms: int | None = None
    """The published generation that this one is written on top of."""
    shards: int = 1
    fingerprint: str = ""
    """What the source was when it was staged: an unfinished load resumes only with the same."""
    staged: str = ""
    """Where the staged rows are."""
    deadline_at: datetime | None = None
    discards: tuple[int, ...] = ()
    """Generations whose cells this load removes."""
    spent_ms: int | None = None
    """The oldest generation one could go back to when the load began, if accounts were gone in it already:
    their cells are removed."""
    rows_in: int = 0
    rows_erased: int = 0
    """Rows of the source that were left out because their accounts are erased; not in ``rows_in``."""
    erased: tuple[str, ...] = ()
    """Hashes of the accounts whose erasure the load knew of when it was verified: it does not count them."""
    rows_out: int = 0
    written: int = 0
    unchanged: int = 0
    tombstoned: int = 0
    discarded: int = 0
    dead_lettered: int = 0
    checksum: str | None = None
    run_id: str | None = Field(None, exclude_if=lambda run_id: run_id is None)
    """The run that began or resumed it, as the rows of ``ops`` name it. Not written where there is none: a
    manifest is replaced only while it is, byte for byte, what was read."""

    def in_state(self, state: GenerationState, **changes: object) -> GenerationManifest:
        """A copy in another state, changed now."""
        return self.model_copy(update={"state": state, "changed_at": datetime.now(UTC), **changes})


class ShardManifest(BaseModel):
    """A shard that is complete and verified. Counts as in ``GenerationManifest``."""

    model_config = ConfigDict(frozen=True)

    generation_ms: int
    shard: int
    rows_in: int
    written: int
    unchanged: int
    tombstoned: int
    dead_lettered: int
    discarded: int = 0
    """Accounts that held cells of generations that the load discards."""
    checksum: str
    sampled: int
    finished_at: datetime


def create_manifest(table: Table, manifest: GenerationManifest) -> bool:
    """Writes a generation's first manifest.

    Returns:
        False when the generation exists: another load of the day took the number.

    Raises:
        google.api_core.exceptions.GoogleAPIError: unknown whether it was written.
    """
    exists = table.check_and_mutate_row(
        schema.manifest_row_key(manifest.generation_ms), None, false_case_mutations=content(manifest)
    )
    return not exists


def write_manifest(table: Table, manifest: GenerationManifest) -> None:
    """Replaces the manifest of a generation.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not take it.
    """
    table.mutate_row(
        schema.manifest_row_key(manifest.generation_ms),
        content(manifest),
    )


def replace_manifest(table: Table, known: GenerationManifest, changed: GenerationManifest) -> bool:
    """Replaces a manifest if it still is what was read.

    Returns:
        False when another process changed it in between.
    """
    value = known.model_dump_json().encode()
    unchanged = RowFilterChain(filters=[_FILTER, ValueRangeFilter(start_value=value, end_value=value)])
    return bool(
        table.check_and_mutate_row(
            schema.manifest_row_key(known.generation_ms), unchanged, true_case_mutations=content(changed)
        )
    )


def write_shard(table: Table, manifest: ShardManifest) -> None:
    """Says that a shard is complete.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not take it.
    """
    table.mutate_row(_shard_key(manifest.generation_ms, manifest.shard), content(manifest))


def note_refused(table: Table, generation: int, shard: int) -> bool:
    """Notes that a shard is about to keep refused rows, which its complete manifest may never count.

    Returns:
        Whether an earlier attempt at the shard of that generation (milliseconds) has noted it.

    Raises:
        google.api_core.exceptions.GoogleAPIError: unknown whether it was noted.
    """
    note = SetCell(schema.META_FAMILY, _REFUSED_QUALIFIER, b"kept", timestamp_micros=0)
    return bool(
        table.check_and_mutate_row(_shard_key(generation, shard), _REFUSED, false_case_mutations=note)
    )


def has_noted_refused(table: Table, generation: int, shard: int) -> bool:
    """Whether an earlier attempt at a shard may have kept refused rows."""
    return table.read_row(_shard_key(generation, shard), row_filter=_REFUSED) is not None


def read_manifest(table: Table, generation: int) -> GenerationManifest | None:
    """The manifest of one generation (milliseconds)."""
    row = table.read_row(schema.manifest_row_key(generation), row_filter=_FILTER)
    return None if row is None else GenerationManifest.model_validate_json(row.cells[0].value)


def read_shards(table: Table, generation: int) -> list[ShardManifest]:
    """The complete shards of a generation (milliseconds), in order."""
    return [ShardManifest.model_validate_json(value) for value in _values(table, _shard_prefix(generation))]


def delete_shards(table: Table, generation: int) -> None:
    """Forgets the shards of a generation (milliseconds) that will not be published."""
    for row in table.read_rows_stream(ReadRowsQuery(row_ranges=_with_prefix(_shard_prefix(generation)))):
        table.mutate_row(row.row_key, DeleteAllFromRow())


def _shard_prefix(generation: int) -> bytes:
    return SHARD_PREFIX + f"{generation:020d}#".encode("ascii")


def _shard_key(generation: int, shard: int) -> bytes:
    return _shard_prefix(generation) + f"{shard:05d}".encode("ascii")


def content(manifest: BaseModel) -> SetCell:
    """The one cell of a manifest row."""
    # a fixed timestamp makes the write idempotent, so that the client may retry it, and replaces
    return SetCell(
        schema.META_FAMILY,
        schema.MANIFEST_QUALIFIER,
        manifest.model_dump_json().encode(),
        timestamp_micros=0,
    )


def read_manifests(table: Table) -> list[GenerationManifest]:
    """All manifests, oldest generation first.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not answer.
    """
    return [GenerationManifest.model_validate_json(value) for value in _values(table, schema.MANIFEST_PREFIX)]


def _values(table: Table, prefix: bytes) -> list[bytes]:
    query = ReadRowsQuery(row_ranges=_with_prefix(prefix), row_filter=_FILTER)
    return [bytes(row.cells[0].value) for row in table.read_rows_stream(query)]


def _with_prefix(prefix: bytes) -> RowRange:
    return RowRange(start_key=prefix, end_key=prefix[:-1] + bytes([prefix[-1] + 1]))


def is_discarded(manifest: GenerationManifest | None) -> bool:
    """Whether a load need not go on: its generation was given up by one that began later."""
    return manifest is None or manifest.state in (GenerationState.DISCARDING, GenerationState.DISCARDED)


def complete(manifests: list[GenerationManifest]) -> list[GenerationManifest]:
    """The generations that could be served, oldest first: all accounts in, none collected yet."""
    return [
        manifest
        for manifest in manifests
        if manifest.state in (GenerationState.VERIFIED, GenerationState.PUBLISHED)
    ]


def retained(manifests: list[GenerationManifest]) -> list[GenerationManifest]:
    """Those complete generations whose cells are certainly all there, oldest first.

    Each complete generation added at most one cell to an account, so the newest few lie within the number
    of versions that garbage collection keeps. A rolled-back generation above the pointer counts too.
    """
    return complete(manifests)[-schema.RETAINED_GENERATIONS :]
