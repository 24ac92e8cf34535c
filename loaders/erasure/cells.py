"""The account's cells in Bigtable: removed from every generation, with the manifests told."""

from __future__ import annotations

import time
from typing import Final

import pyarrow as pa
from google.cloud.bigtable.data import Table

from loaders.bigtable import manifest as manifests
from loaders.bigtable import mutations
from loaders.bigtable.erased_cells import ErasedCells, read_erased, write_erased
from loaders.bigtable.manifest import GenerationState
from loaders.bigtable.rows import TAIL_BYTES, digests, key_digests
from loaders.bigtable.writer import Entries, RowWriter
from serving.row_key import row_key

_DEADLINE_SECONDS: Final = 120.0


def erase_cells(table: Table, account_id: str, subject_hash: str) -> int:
    """Removes the account's row and returns how many cells it had.

    What generations showed of the account is noted first, so that they can still be verified. A load that is
    running goes on: before readers see what it writes, it asks who was erased meanwhile.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not answer; erase again.
        LoadError: Bigtable refused the deletion.
    """
    key = row_key(account_id)
    row = table.read_row(key)
    if row is None:
        return 0
    cells = sorted(((cell.timestamp_micros // 1000, bytes(cell.value)) for cell in row), reverse=True)
    known = read_erased(table, subject_hash) or ErasedCells(digests={})
    shown: dict[int, int] = dict(known.digests)
    for each in manifests.read_manifests(table):
        if each.state is GenerationState.DISCARDED:
            continue
        value = next((value for at, value in cells if at <= each.generation_ms), b"")
        if value:
            [digest] = digests(key_digests([key]), [value[:-TAIL_BYTES]])
            shown.setdefault(each.generation_ms, int(digest))
    write_erased(table, subject_hash, ErasedCells(digests=shown))
    keys = pa.array([key])
    RowWriter(table, deadline_at=time.monotonic() + _DEADLINE_SECONDS).write(
        [Entries(keys, mutations.delete_rows(keys))]
    )
    return len(cells)


def cells_left(table: Table, account_id: str) -> int:
    """How many cells the account has."""
    row = table.read_row(row_key(account_id))
    return 0 if row is None else len(row.cells)
