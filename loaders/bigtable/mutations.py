"""``MutateRows`` requests as bytes, built a column at a time.

An entry is ``row_key = 1, mutations = 2``; a request ``table_name = 1, entries = 2, app_profile_id = 3``
(google/bigtable/v2/bigtable.proto). An entry array holds each entry with its tag and length, so that the
entries of a request are one slice of the array's buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigtable_v2.types import bigtable as messages
from google.cloud.bigtable_v2.types import data as data_messages

from loaders.bigtable import columns as col
from loaders.bigtable.scan import Span
from segue_client.bigtable import schema

MAX_MUTATIONS_PER_REQUEST: Final = 100_000
"""Bigtable's limit; an entry here is one mutation, or one for each span of generations that it removes."""

_Request: Any = messages.MutateRowsRequest.meta.pb
_Mutation: Any = data_messages.Mutation.meta.pb

_ENTRY_TAG, _KEY_TAG, _MUTATION_TAG = (col.tag(number, col.DELIMITED) for number in (2, 1, 2))
_SET_CELL_TAG, _VALUE_TAG = col.tag(1, col.DELIMITED), col.tag(4, col.DELIMITED)


def set_offers(keys: pa.Array, contents: pa.Array, generation: int, cell_tail: bytes = b"") -> pa.Array:
    """Entries that write each account's cell: its content and ``cell_tail``; ``generation`` in milliseconds.

    Everything that stands before the content depends on its length only, so that rows of one length share
    it, and a row is put together once.

    Raises:
        ValueError: the generation is no cell timestamp.
    """
    head = _cell_head(generation)
    sizes = pc.binary_length(contents).to_numpy()
    distinct, which = np.unique(sizes, return_inverse=True)
    fronts = []
    lengths = np.zeros(len(distinct), np.int64)
    for index, size in enumerate(distinct.tolist()):
        value = size + len(cell_tail)
        cell = head + (_VALUE_TAG + col.varint(value) if value else b"")
        mutation = _SET_CELL_TAG + col.varint(len(cell) + value) + cell
        fronts.append(_MUTATION_TAG + col.varint(len(mutation) + value) + mutation)
        lengths[index] = len(fronts[-1]) + value
    front = pa.array(fronts, pa.binary()).take(pa.array(which))
    return _entries(keys, lengths[which], front, contents, *([cell_tail] if cell_tail else []))


def tombstones(keys: pa.Array, generation: int) -> pa.Array:
    """Entries that write each account an empty cell: from ``generation`` (milliseconds) on it is unknown."""
    mutation = _Mutation()
    _address(mutation.set_cell)
    mutation.set_cell.timestamp_micros = _micros(generation)
    return _same(keys, mutation)


def delete_offers(keys: pa.Array, spans: Sequence[Span]) -> pa.Array:
    """Entries that remove the cells of the generations in each of ``spans``."""
    deletions = []
    for first, last in spans:
        deletion = _Mutation()
        cells = deletion.delete_from_column
        cells.family_name = schema.OFFERS_FAMILY
        cells.column_qualifier = schema.OFFERS_QUALIFIER
        if first is not None:
            cells.time_range.start_timestamp_micros = _micros(first)
        if last is not None:
            cells.time_range.end_timestamp_micros = _micros(last + 1)
        deletions.append(deletion)
    return _same(keys, *deletions)


def delete_rows(keys: pa.Array) -> pa.Array:
    """Entries that remove the accounts' rows whole."""
    mutation = _Mutation()
    mutation.delete_from_row.SetInParent()
    return _same(keys, mutation)


def request_head(table_name: str, app_profile_id: str) -> bytes:
    """The bytes of a request without entries; entries may follow in any number."""
    serialized: bytes = _Request(table_name=table_name, app_profile_id=app_profile_id).SerializeToString()
    return serialized


def slice_bytes(entries: pa.Array, start: int, stop: int) -> memoryview:
    """The entries [start, stop) as they stand in a request, without a copy."""
    _, offsets, data = entries.buffers()
    places = np.frombuffer(offsets, np.int32)
    first, last = places[entries.offset + start], places[entries.offset + stop]
    return memoryview(data)[first:last] if data is not None else memoryview(b"")


def _entries(keys: pa.Array, lengths: npt.NDArray[np.int64], *pieces: pa.Array | bytes) -> pa.Array:
    """Entries of the keys and ``pieces``, which together have ``lengths`` bytes in each row."""
    key_prefixes = col.prefixes(_KEY_TAG, keys, empty_is_absent=True)
    sizes = lengths + pc.binary_length(keys).to_numpy() + pc.binary_length(key_prefixes).to_numpy()
    distinct, which = np.unique(sizes, return_inverse=True)
    starts = pa.array([_ENTRY_TAG + col.varint(size) for size in distinct.tolist()], pa.binary())
    return col.join(starts.take(pa.array(which)), key_prefixes, keys, *pieces)


def _same(keys: pa.Array, *mutations: Any) -> pa.Array:
    framed = b""
    for mutation in mutations:
        serialized = mutation.SerializeToString()
        framed += _MUTATION_TAG + col.varint(len(serialized)) + serialized
    return _entries(keys, np.full(len(keys), len(framed), np.int64), framed)


def _cell_head(generation: int) -> bytes:
    mutation = _Mutation()
    _address(mutation.set_cell)
    mutation.set_cell.timestamp_micros = _micros(generation)
    head: bytes = mutation.set_cell.SerializeToString()
    return head


def _address(set_cell: Any) -> None:
    set_cell.family_name = schema.OFFERS_FAMILY
    set_cell.column_qualifier = schema.OFFERS_QUALIFIER


def _micros(generation: int) -> int:
    # whole milliseconds, as Bigtable wants, because a generation counts them
    micros = generation * 1_000
    if not 0 < micros < 2**63:
        raise ValueError(f"generation {generation} is no cell timestamp")
    return micros
