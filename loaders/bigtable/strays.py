"""Cells that no reader may see: of loads that died, were overtaken or rolled back, and spent tombstones.

A shard removes them from its own accounts. Before the pointer moves all accounts are looked at once more, in
parallel, because the last requests of a load that was overtaken may arrive late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa
from google.cloud.bigtable.data import Table

from loaders.bigtable import mutations, scan
from loaders.bigtable.manifest import GenerationManifest
from loaders.bigtable.scan import KeyRange, Span
from loaders.bigtable.writer import Entries, RowWriter

_SCANS_AT_ONCE: Final = 8
_SPANS_PER_ENTRY: Final = 10
"""Each is a mutation, and a request may have so many."""


def stray_spans(manifest: GenerationManifest) -> list[Span]:
    """The generations whose cells would show, now or later, where the one of ``manifest`` is silent."""
    generation, baseline = manifest.generation_ms, manifest.baseline_ms
    first = None if baseline is None else baseline + 1
    spans: list[Span] = [(first, generation - 1)] if first is None or first < generation else []
    return spans + [
        (each, each)
        for each in manifest.discards
        if each > generation or (baseline is not None and each < baseline)
    ]


def remove_strays(
    table: Table, manifest: GenerationManifest, writer: RowWriter, accounts: KeyRange, deadline_at: float
) -> int:
    """Removes the strays of a key range; returns how many accounts had one.

    Raises:
        LoadError: as scanning and ``writer`` do.
    """
    spans = stray_spans(manifest)
    return delete_cells(writer, scan.written_in(table, spans, accounts, deadline_at), spans) if spans else 0


def remove_cells_everywhere(
    table: Table, spans: Sequence[Span], writer: RowWriter, deadline_at: float
) -> int:
    """Removes the cells of ``spans`` from all accounts, in parallel; returns how many accounts had one.

    Raises:
        LoadError: as scanning and ``writer`` do.
        google.api_core.exceptions.GoogleAPIError: Bigtable did not answer.
    """
    if not spans:
        return 0

    def remove(accounts: KeyRange) -> int:
        return delete_cells(writer, scan.written_in(table, spans, accounts, deadline_at), spans)

    with ThreadPoolExecutor(_SCANS_AT_ONCE, thread_name_prefix="strays") as pool:
        return sum(pool.map(remove, scan.sampled_ranges(table)))


def remove_spent_tombstones(
    table: Table, generation: int, writer: RowWriter, accounts: KeyRange, deadline_at: float
) -> int:
    """Removes what is left of accounts that were gone in ``generation``, the oldest one can go back to."""
    gone = scan.removed_by(table, generation, accounts, deadline_at)
    return delete_cells(writer, gone, [(None, generation)])


def delete_cells(writer: RowWriter, found: Iterator[list[bytes]], spans: Sequence[Span]) -> int:
    """Removes the cells of ``spans`` from these accounts; returns how many accounts there were."""
    accounts = 0

    def entries() -> Iterator[Entries]:
        nonlocal accounts
        for keys in found:
            accounts += len(keys)
            array = pa.array(keys, pa.binary())
            for start in range(0, len(spans), _SPANS_PER_ENTRY):
                part = spans[start : start + _SPANS_PER_ENTRY]
                yield Entries(array, mutations.delete_offers(array, part))

    writer.write(entries())
    return accounts
