"""``MutateRows`` requests as bytes, built a column at a time.

An entry is ``row_key = 1, mutations = 2``; a request ``table_name = 1, entries = 2, app_profile_id = 3``
(google/bigtable/v2/bigtable.proto). An entry array holds each entry with its tag and length, so that the
entries of a request are one slice of the array's buffer.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigtable_v2.types import bigtable as messages
from google.cloud.bigtable_v2.types import data as data_messages

from loaders.bigtable import columns as col
from serving import schema

MAX_MUTATIONS_PER_REQUEST: Final = 100_000
"""Bigtable's limit; every entry here is one mutation."""

_Request: Any = messages.MutateRowsRequest.meta.pb
_Mutation: Any = data_messages.Mutation.meta.pb

_ENTRY_TAG, _KEY_TAG, _MUTATION_TAG = (col.tag(number, col.DELIMITED) for number in (2, 1, 2))
_SET_CELL_TAG, _VALUE_TAG = col.tag(1, col.DELIMITED), col.tag(4, col.DELIMITED)


def set_offers(keys: pa.Array, payloads: pa.Array, generation: int) -> pa.Array:
    """Entries that write each account's cell; ``generation`` in milliseconds.

    Raises:
        ValueError: the generation is no cell timestamp.
    """
    head = _cell_head(generation)
    set_cell = col.join(head, col.prefixes(_VALUE_TAG, payloads, empty_is_absent=True), payloads)
    mutation = col.join(col.prefixes(_SET_CELL_TAG, set_cell, empty_is_absent=False), set_cell)
    return _entries(keys, mutation)


def tombstones(keys: pa.Array, generation: int) -> pa.Array:
    """Entries that write each account an empty cell: from ``generation`` (milliseconds) on it is unknown."""
    mutation = _Mutation()
    _address(mutation.set_cell)
    mutation.set_cell.timestamp_micros = _micros(generation)
    return _same(keys, mutation)


def delete_offers(keys: pa.Array, first: int | None, last: int | None) -> pa.Array:
    """Entries that remove the cells of the generations in [first, last] milliseconds (``None``: open)."""
    mutation = _Mutation()
    deletion = mutation.delete_from_column
    deletion.family_name = schema.OFFERS_FAMILY
    deletion.column_qualifier = schema.OFFERS_QUALIFIER
    if first is not None:
        deletion.time_range.start_timestamp_micros = _micros(first)
    if last is not None:
        deletion.time_range.end_timestamp_micros = _micros(last + 1)
    return _same(keys, mutation)


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


def _entries(keys: pa.Array, mutations: pa.Array) -> pa.Array:
    body = (
        col.prefixes(_KEY_TAG, keys, empty_is_absent=True),
        keys,
        col.prefixes(_MUTATION_TAG, mutations, empty_is_absent=False),
        mutations,
    )
    sizes = body[0], body[2]
    lengths = pc.binary_length(keys).to_numpy().astype(np.uint64) + pc.binary_length(mutations).to_numpy()
    for framing in sizes:
        lengths = lengths + pc.binary_length(framing).to_numpy()
    return col.join(_ENTRY_TAG, col.varints(lengths.astype(np.uint64)), *body)


def _same(keys: pa.Array, mutation: Any) -> pa.Array:
    return _entries(keys, col.constant(mutation.SerializeToString(), len(keys)))


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
