"""Cells of loads that were overtaken: their last requests may arrive after their generation was discarded."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
from google.cloud.bigtable.data import Table

from loaders.bigtable import mutations, scan
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.manifest import GenerationManifest
from loaders.bigtable.scan import ALL_ACCOUNTS, KeyRange
from loaders.bigtable.writer import Entries, RowWriter

_ROUNDS = 5


def remove_strays(table: Table, manifest: GenerationManifest, accounts: KeyRange = ALL_ACCOUNTS) -> int:
    """Removes cells between the published generation and this one, which would show where this one is silent.

    Usually there are none. Returns how many accounts had one.

    Raises:
        LoadError: ``NOT_VERIFIED``: there are always new ones.
    """
    first = 0 if manifest.baseline_ms is None else manifest.baseline_ms + 1
    last = manifest.generation_ms - 1
    removed = 0
    for _ in range(_ROUNDS):
        with_cells = scan.written_between(table, first, last, accounts)
        found = delete_cells(RowWriter(table, deadline_at=time.monotonic() + 120), with_cells, first, last)
        if not found:
            return removed
        removed += found
    raise LoadError(LoadCode.NOT_VERIFIED, "another load keeps writing", {"accounts": found})


def delete_cells(writer: RowWriter, found: Iterator[list[bytes]], first: int | None, last: int) -> int:
    """Removes the cells of [first, last] of these accounts; returns how many accounts there were."""

    def entries() -> Iterator[Entries]:
        for keys in found:
            array = pa.array(keys, pa.binary())
            yield Entries(array, mutations.delete_offers(array, first, last))

    return writer.write(entries()).acknowledged
