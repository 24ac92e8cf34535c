"""What erasing accounts took out of generations whose manifests still count it.

Row ``!erased#<subject hash>``, family ``m``: JSON that maps each generation to what it showed of the account.
Of a generation that is still being loaded it counts only if the load was verified before it could know of the
erasure. Written before the cells are removed, so that an interrupted erasure can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from google.cloud.bigtable.data import ReadRowsQuery, RowRange, Table
from google.cloud.bigtable.data.row_filters import FamilyNameRegexFilter
from pydantic import BaseModel, ConfigDict

from loaders.bigtable.manifest import GenerationManifest, content
from segue_client.bigtable import schema

ERASED_PREFIX: Final = b"!erased#"


class ErasedCells(BaseModel):
    """The digest of an erased account's row in each generation (milliseconds) that showed it."""

    model_config = ConfigDict(frozen=True)

    digests: dict[int, int]


@dataclass(frozen=True)
class ErasedContent:
    """What a generation no longer shows."""

    rows: int
    checksum: int


def read_erased(table: Table, subject_hash: str) -> ErasedCells | None:
    """What was noted of an account, by its hash in the list of erased accounts."""
    row = table.read_row(ERASED_PREFIX + subject_hash.encode())
    return None if row is None else ErasedCells.model_validate_json(row.cells[0].value)


def write_erased(table: Table, subject_hash: str, erased: ErasedCells) -> None:
    """Notes what generations showed of an account."""
    table.mutate_row(ERASED_PREFIX + subject_hash.encode(), content(erased))


def erased_content(table: Table, manifest: GenerationManifest) -> ErasedContent:
    """What was erased of a generation after it was verified."""
    known, generation = set(manifest.erased), manifest.generation_ms
    end = ERASED_PREFIX[:-1] + bytes([ERASED_PREFIX[-1] + 1])
    query = ReadRowsQuery(
        row_ranges=RowRange(start_key=ERASED_PREFIX, end_key=end),
        row_filter=FamilyNameRegexFilter(schema.META_FAMILY),
    )
    digests = []
    for row in table.read_rows_stream(query):
        erased = ErasedCells.model_validate_json(row.cells[0].value)
        subject = row.row_key.removeprefix(ERASED_PREFIX).decode()
        if generation in erased.digests and subject not in known:
            digests.append(erased.digests[generation])
    return ErasedContent(len(digests), sum(digests))
