"""The loader's account of every generation, one row each in the offers table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum

from google.cloud.bigtable.data import ReadRowsQuery, RowRange, SetCell, Table
from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    FamilyNameRegexFilter,
    RowFilterChain,
)
from pydantic import BaseModel, ConfigDict

from serving import schema


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
    DISCARDED = "discarded"
    """Its cells were removed: never published, or rolled back before the next load."""


class GenerationManifest(BaseModel):
    """One generation. Counts are accounts; ``checksum`` is of all keys and payloads, in any order."""

    model_config = ConfigDict(frozen=True)

    generation_ms: int
    segment_date: date
    attempt: int
    state: GenerationState
    contract_version: int = schema.CONTRACT_VERSION
    started_at: datetime
    changed_at: datetime
    rows_in: int = 0
    rows_out: int = 0
    tombstoned: int = 0
    checksum: str | None = None

    def in_state(self, state: GenerationState, **changes: object) -> GenerationManifest:
        """A copy in another state, changed now."""
        return self.model_copy(update={"state": state, "changed_at": datetime.now(UTC), **changes})


def create_manifest(table: Table, manifest: GenerationManifest) -> bool:
    """Writes a generation's first manifest.

    Returns:
        False when the generation exists: another load of the day took the number.

    Raises:
        google.api_core.exceptions.GoogleAPIError: unknown whether it was written.
    """
    exists = table.check_and_mutate_row(
        schema.manifest_row_key(manifest.generation_ms), None, false_case_mutations=_content(manifest)
    )
    return not exists


def write_manifest(table: Table, manifest: GenerationManifest) -> None:
    """Replaces the manifest of a generation.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not take it.
    """
    table.mutate_row(
        schema.manifest_row_key(manifest.generation_ms),
        _content(manifest),
    )


def _content(manifest: GenerationManifest) -> SetCell:
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
    end = schema.MANIFEST_PREFIX[:-1] + bytes([schema.MANIFEST_PREFIX[-1] + 1])
    query = ReadRowsQuery(
        row_ranges=RowRange(start_key=schema.MANIFEST_PREFIX, end_key=end),
        row_filter=RowFilterChain(
            filters=[FamilyNameRegexFilter(schema.META_FAMILY), CellsColumnLimitFilter(1)]
        ),
    )
    return [
        GenerationManifest.model_validate_json(row.cells[0].value) for row in table.read_rows_stream(query)
    ]


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
