"""Questions about many accounts that Bigtable answers itself: only the rows asked for cross the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
from google.cloud.bigtable.data import Table
from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    ColumnQualifierRegexFilter,
    FamilyNameRegexFilter,
    RowFilter,
    RowFilterChain,
    RowFilterUnion,
    StripValueTransformerFilter,
    ValueRangeFilter,
)

from loaders.bigtable.cells import Cells, read_cells
from loaders.bigtable.filters import visible_at, written_between
from loaders.bigtable.rows import TAIL_BYTES, Digests, digests, key_digests
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import AFTER_ACCOUNT_KEYS, FIRST_ACCOUNT_KEY

# Every payload starts with a tag byte above zero, so the values below "\x00" are exactly the empty ones.
_TOMBSTONE = ValueRangeFilter(end_value=b"\x00", inclusive_end=False)
_PAYLOAD = ValueRangeFilter(start_value=b"\x00")


@dataclass(frozen=True)
class KeyRange:
    """The accounts whose row keys are in [first, after)."""

    first: bytes = FIRST_ACCOUNT_KEY
    after: bytes = AFTER_ACCOUNT_KEYS


ALL_ACCOUNTS = KeyRange()
_PREFIXES: Final = 16**4
_RANGES: Final = 64

Span = tuple[int | None, int | None]
"""Generations (milliseconds) from the first to the last; ``None`` leaves that side open."""


def key_range(shard: int, shards: int) -> KeyRange:
    """The row keys of a shard: an even part of the hash prefixes."""
    first, after = shard * _PREFIXES // shards, (shard + 1) * _PREFIXES // shards
    return KeyRange(
        f"{first:04x}".encode("ascii"),
        AFTER_ACCOUNT_KEYS if after == _PREFIXES else f"{after:04x}".encode("ascii"),
    )


@dataclass(frozen=True)
class Content:
    """What a scan found: keys in order, a digest of each key and of each key with its content."""

    keys: pa.Array
    key_digests: Digests
    digests: Digests


def sampled_ranges(table: Table, most: int = _RANGES) -> list[KeyRange]:
    """All accounts in at most so many parts of about equal size, by the keys that Bigtable samples.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not answer.
    """
    samples = sorted(
        key for key, _ in table.sample_row_keys() if FIRST_ACCOUNT_KEY < key < AFTER_ACCOUNT_KEYS
    )
    places = sorted({part * len(samples) // most for part in range(1, most)}) if samples else []
    bounds = [FIRST_ACCOUNT_KEY, *dict.fromkeys(samples[place] for place in places), AFTER_ACCOUNT_KEYS]
    return [KeyRange(first, after) for first, after in pairwise(bounds)]


def visible(table: Table, generation: int, accounts: KeyRange, deadline_at: float) -> Content:
    """What ``generation`` (milliseconds) shows: about 60 bytes of memory an account."""
    filters = RowFilterChain(filters=[visible_at(generation), _PAYLOAD])
    return _content(read_cells(table, filters, accounts.first, accounts.after, deadline_at=deadline_at))


def visible_keys(table: Table, generation: int, accounts: KeyRange, deadline_at: float) -> Content:
    """The accounts that ``generation`` shows, without their content: its digests are of the keys."""
    filters = RowFilterChain(filters=[visible_at(generation), _PAYLOAD, StripValueTransformerFilter(True)])
    return _content(read_cells(table, filters, accounts.first, accounts.after, deadline_at=deadline_at))


def written(table: Table, generation: int, accounts: KeyRange, deadline_at: float) -> tuple[Content, int]:
    """The payloads that ``generation`` itself wrote, and how many tombstones."""
    tombstoned = 0

    def payloads() -> Iterator[Cells]:
        nonlocal tombstoned
        filters = RowFilterChain(filters=_cell_of(generation))
        for keys, values in read_cells(
            table, filters, accounts.first, accounts.after, deadline_at=deadline_at
        ):
            kept = [index for index, value in enumerate(values) if value]
            tombstoned += len(keys) - len(kept)
            if len(kept) < len(keys):
                keys, values = [keys[index] for index in kept], [values[index] for index in kept]
            yield keys, values

    return _content(payloads()), tombstoned


def payloads_of(table: Table, generation: int, deadline_at: float) -> Iterator[tuple[bytes, bytes]]:
    """(row key, payload) of every account that ``generation`` shows, whichever generation wrote it."""
    filters = RowFilterChain(filters=[visible_at(generation), _PAYLOAD])
    for keys, values in read_cells(table, filters, deadline_at=deadline_at):
        yield from zip(keys, values, strict=True)


def written_in(
    table: Table, spans: Sequence[Span], accounts: KeyRange, deadline_at: float
) -> Iterator[list[bytes]]:
    """Keys of accounts that hold a cell of the generations in ``spans``, visible or not, in parts."""
    parts: list[RowFilter] = [written_between(*span) for span in spans]
    return _keys(
        table,
        [
            FamilyNameRegexFilter(schema.OFFERS_FAMILY),
            ColumnQualifierRegexFilter(schema.OFFERS_QUALIFIER),
            RowFilterUnion(filters=parts) if len(parts) > 1 else parts[0],
            CellsColumnLimitFilter(1),
        ],
        accounts,
        deadline_at,
    )


def removed_by(
    table: Table, generation: int, accounts: KeyRange, deadline_at: float
) -> Iterator[list[bytes]]:
    """Keys of accounts for which ``generation`` shows a tombstone, in parts."""
    return _keys(table, [visible_at(generation), _TOMBSTONE], accounts, deadline_at)


def _cell_of(generation: int) -> list[RowFilter]:
    return [
        FamilyNameRegexFilter(schema.OFFERS_FAMILY),
        ColumnQualifierRegexFilter(schema.OFFERS_QUALIFIER),
        written_between(generation, generation),
        CellsColumnLimitFilter(1),
    ]


def _keys(
    table: Table, filters: list[RowFilter], accounts: KeyRange, deadline_at: float
) -> Iterator[list[bytes]]:
    chain = RowFilterChain(filters=[*filters, StripValueTransformerFilter(True)])
    for keys, _ in read_cells(table, chain, accounts.first, accounts.after, deadline_at=deadline_at):
        yield keys


def _content(cells: Iterator[Cells]) -> Content:
    arrays, of_keys, of_rows = [], [], []
    for keys, values in cells:
        if keys:
            arrays.append(pa.array(keys, pa.binary()))
            of_keys.append(key_digests(keys))
            of_rows.append(digests(of_keys[-1], [value[:-TAIL_BYTES] for value in values]))
    if not arrays:
        nothing = np.zeros(0, np.uint64)
        return Content(pa.array([], pa.binary()), nothing, nothing)
    return Content(pa.concat_arrays(arrays), np.concatenate(of_keys), np.concatenate(of_rows))
