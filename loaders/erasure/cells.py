"""Accounts' cells in Bigtable: removed from every generation, with the manifests told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
from google.cloud.bigtable.data import ReadRowsQuery, Row, Table

from loaders.bigtable import manifest as manifests
from loaders.bigtable import mutations
from loaders.bigtable.erased_cells import ErasedCells, read_erased, write_erased
from loaders.bigtable.manifest import GenerationManifest, GenerationState
from loaders.bigtable.rows import TAIL_BYTES, digests, key_digests
from loaders.bigtable.writer import Entries, RowWriter
from loaders.warehouse.erasures import subject_hash
from segue.settings import Settings
from segue_client.bigtable.row_key import account_id_of, row_key

_DEADLINE_SECONDS: Final = 120.0


def erase_cells(settings: Settings, table: Table, account_ids: Sequence[str]) -> int:
    """Removes the accounts' rows and returns how many cells they had.

    What generations showed of the accounts is noted first, so that they can still be verified. A load that is
    running goes on: before readers see what it writes, it asks who was erased meanwhile.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not answer; erase again.
        LoadError: Bigtable refused the deletion.
    """
    rows = _rows(table, account_ids)
    if not rows:
        return 0
    kept = [each for each in manifests.read_manifests(table) if each.state is not GenerationState.DISCARDED]
    for row in rows:
        hashed = subject_hash(settings, account_id_of(row.row_key))
        known = read_erased(table, hashed) or ErasedCells(digests={})
        write_erased(table, hashed, ErasedCells(digests=_shown(row, kept) | known.digests))
    keys = pa.array([row.row_key for row in rows], pa.binary())
    writer = RowWriter(table, deadline_at=time.monotonic() + _DEADLINE_SECONDS)
    writer.write([Entries(keys, mutations.delete_rows(keys))])
    return sum(len(row.cells) for row in rows)


def cells_left(table: Table, account_ids: Sequence[str]) -> int:
    """How many cells the accounts have."""
    return sum(len(row.cells) for row in _rows(table, account_ids))


def _rows(table: Table, account_ids: Sequence[str]) -> list[Row]:
    return list(table.read_rows(ReadRowsQuery(row_keys=[row_key(each) for each in account_ids])))


def _shown(row: Row, kept: Sequence[GenerationManifest]) -> dict[int, int]:
    """The digest of what each generation (milliseconds) shows of an account."""
    cells = sorted(((cell.timestamp_micros // 1000, bytes(cell.value)) for cell in row), reverse=True)
    shown = {}
    for each in kept:
        value = next((value for at, value in cells if at <= each.generation_ms), b"")
        if value:
            [digest] = digests(key_digests([row.row_key]), [value[:-TAIL_BYTES]])
            shown[each.generation_ms] = int(digest)
    return shown
