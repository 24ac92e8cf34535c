"""Columns of bytes: protobuf's building blocks for many rows at once, in Arrow and NumPy.

Everything returns one ``pa.BinaryArray`` with an item for each row; an absent field is an empty item.
Encoding rules: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
"""Wire types."""

_SHORT: Final = 1 << 14
"""Lengths below this have their prefixes looked up in a table; longer ones are computed."""


def varint(number: int) -> bytes:
    """The varint of one non-negative number."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field_number: int, wire_type: int) -> bytes:
    """The tag that introduces a field."""
    return varint(field_number << 3 | wire_type)


def binary(data: Any, sizes: npt.NDArray[np.int64]) -> pa.Array:
    """Cuts ``data`` (bytes or an array of uint8) into items of ``sizes`` bytes.

    Raises:
        ValueError: the data is longer than one Arrow array may be (2 GiB).
    """
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{offsets[-1]} bytes in one batch: read smaller batches")
    return pa.Array.from_buffers(
        pa.binary(), len(sizes), [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    )


def constant(value: bytes, rows: int) -> pa.Array:
    """The same bytes in every row."""
    return pa.repeat(pa.scalar(value, pa.binary()), rows)


def varints(numbers: npt.NDArray[np.uint64]) -> pa.Array:
    """The varint of every number."""
    sizes = np.ones(len(numbers), np.int64)
    for shift in range(7, 64, 7):
        longer = numbers >= np.uint64(1 << shift)
        if not longer.any():
            break
        sizes += longer
    width = int(sizes.max(initial=1))
    places = np.arange(width, dtype=np.uint64)
    parts = ((numbers[:, None] >> (places * np.uint64(7))) & np.uint64(0x7F)).astype(np.uint8)
    parts[places[None, :] < (sizes - 1).astype(np.uint64)[:, None]] |= 0x80
    return binary(parts[places[None, :] < sizes.astype(np.uint64)[:, None]], sizes)


@dataclass(frozen=True)
class Fixed:
    """A field of fixed width: its tag, and its values in the rows where it is present."""

    tag: bytes
    values: npt.NDArray[Any]
    present: npt.NDArray[np.bool_]

    @property
    def width(self) -> int:
        """Bytes of the tag and a value."""
        return len(self.tag) + int(self.values.dtype.itemsize)


def fixed(fields: Sequence[Fixed]) -> list[pa.Array]:
    """Tags and little-endian bytes of fields that follow each other, in as few pieces as possible."""
    pieces = []
    run: list[Fixed] = []
    for each in fields:
        if each.present.all():
            run.append(each)
            continue
        if run:
            pieces.append(_packed(run))
            run = []
        some = Fixed(each.tag, each.values[each.present], each.present[each.present])
        pieces.append(_packed([some], each.present))
    if run:
        pieces.append(_packed(run))
    return pieces


def _packed(run: Sequence[Fixed], present: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    rows, width = len(run[0].values), sum(each.width for each in run)
    out = np.empty((rows, width), np.uint8)
    at = 0
    for each in run:
        after = at + len(each.tag)
        out[:, at:after] = np.frombuffer(each.tag, np.uint8)
        at += each.width
        out[:, after:at] = np.ascontiguousarray(each.values).view(np.uint8).reshape(rows, at - after)
    return binary(out, np.full(rows, width) if present is None else present * np.int64(width))


def flags(field_tag: bytes, values: pa.Array) -> pa.Array:
    """Tag and 1 in the rows where a boolean is true."""
    choices = pa.array([b"", field_tag + b"\x01"], pa.binary())
    return choices.take(pc.fill_null(values, False).cast(pa.int8()))


def prefixes(field_tag: bytes, values: pa.Array, *, empty_is_absent: bool) -> pa.Array:
    """Tag and length of every item; nothing where it is null, or empty and that means absent."""
    lengths = pc.binary_length(values)
    longest = pc.max(lengths).as_py() or 0
    if longest < _SHORT:
        # a power of two: a handful of tables, whatever the data
        table = _prefix_table(field_tag, 1 << max(7, longest.bit_length()), empty_is_absent)
        return table.take(lengths)
    numbers = pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype(np.uint64)
    framed = join(constant(field_tag, len(values)), varints(numbers))
    present = pc.is_valid(values)
    if empty_is_absent:
        present = pc.and_(present, pa.array(numbers > 0))
    return pc.if_else(present, framed, b"")


@lru_cache(maxsize=256)
def _prefix_table(field_tag: bytes, size: int, empty_is_absent: bool) -> pa.Array:
    table = [field_tag + varint(length) for length in range(size)]
    if empty_is_absent:
        table[0] = b""
    return pa.array(table, pa.binary())


def join(*pieces: Any) -> pa.Array:
    """The bytes of each row one behind the other; a piece that is ``bytes`` is the same in every row."""
    return pc.binary_join_element_wise(*pieces, b"", null_handling="replace", null_replacement=b"")


def join_lists(items: pa.Array, lengths: npt.NDArray[np.int64]) -> pa.Array:
    """Joins the first ``lengths[0]`` items, the next ``lengths[1]``, and so on."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), items), b"")
