"""Protobuf messages of many rows at once, driven by the message's descriptor.

A field is filled from the column of its name; a field ``<name>_ms`` from a timestamp column ``<name>_at``.
So a new field needs a line in the ``.proto`` and a column in the mart, and nothing here. The bytes are those
of ``SerializeToString(deterministic=True)``: fields in number order, unset and zero fields left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.descriptor import FieldDescriptor

from loaders.bigtable import columns as col
from segue_client.bigtable import schema

Descriptor: TypeAlias = Any
"""A protobuf message descriptor; the C and the Python implementation have classes of their own."""

Mask = npt.NDArray[np.bool_]
Violation = tuple[str, Mask]
"""What is wrong, and in which rows."""

_INTEGERS: Final[dict[int, tuple[type, int, int]]] = {
    FieldDescriptor.TYPE_FIXED32: (np.uint32, 0, 2**32 - 1),
    FieldDescriptor.TYPE_SFIXED32: (np.int32, -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_FIXED64: (np.uint64, 0, 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: (np.int64, -(2**63), 2**63 - 1),
}
_VARINTS: Final[dict[int, tuple[int, int]]] = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**63 - 1),
    FieldDescriptor.TYPE_ENUM: (-(2**31), 2**31 - 1),
}
_FLOATS: Final[dict[int, tuple[type, type]]] = {
    FieldDescriptor.TYPE_DOUBLE: (np.float64, np.uint64),
    FieldDescriptor.TYPE_FLOAT: (np.float32, np.uint32),
}


class UnknownColumnError(ValueError):
    """A field of the message has no column, or one whose type does not fit it."""


@dataclass(frozen=True)
class Encoded:
    """One message a row, and what is wrong with some of them (their bytes then mean nothing)."""

    messages: pa.Array
    violations: list[Violation]


@dataclass(frozen=True)
class _Pieces:
    """A field's bytes in pieces, one behind the other: joining once, for all fields, is cheapest."""

    pieces: list[pa.Array]
    violations: list[Violation]


@dataclass(frozen=True)
class _FixedField:
    """A field of fixed width, which is put together with those that follow it."""

    field: col.Fixed
    violations: list[Violation]


def column_of(field: FieldDescriptor, names: Collection[str]) -> str:
    """Name of the column that fills a field.

    Raises:
        UnknownColumnError: there is none.
    """
    if field.name in names:
        return str(field.name)
    if field.name.endswith("_ms") and f"{field.name[:-3]}_at" in names:
        return f"{field.name[:-3]}_at"
    raise UnknownColumnError(f"no column for the field {field.full_name}")


def fields_of(descriptor: Descriptor, skip: Collection[str] = ()) -> list[FieldDescriptor]:
    """The message's fields that a cell has, in the order of their numbers, which is that of the bytes."""
    stored = (field for field in descriptor.fields if field.name not in {*skip, *schema.ANSWERED_FIELDS})
    return sorted(stored, key=lambda field: field.number)


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field holds several values."""
    return bool(field.is_repeated)


def encode(descriptor: Descriptor, rows: pa.StructArray, skip: Collection[str] = ()) -> Encoded:
    """Encodes every row of ``rows`` as a message, without the fields named in ``skip``.

    Raises:
        UnknownColumnError: a field has no column that fits.
    """
    names = [field.name for field in rows.type]
    pieces: list[pa.Array] = []
    waiting: list[col.Fixed] = []
    violations: list[Violation] = []
    for field in fields_of(descriptor, skip):
        name = column_of(field, names)
        encoded = _encode_field(field, rows.field(names.index(name)), name)
        if isinstance(encoded, _FixedField):
            waiting.append(encoded.field)
        else:
            pieces += [*col.fixed(waiting), *encoded.pieces]
            waiting = []
        violations += encoded.violations
    pieces += col.fixed(waiting)
    return Encoded(col.join(*pieces) if pieces else col.constant(b"", len(rows)), violations)


def _encode_field(field: FieldDescriptor, values: pa.Array, name: str) -> _Pieces | _FixedField:
    if is_repeated(field):
        return _repeated(field, values, name)
    if values.null_count == len(values):
        return _Pieces([], [])
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        inner = encode(field.message_type, values)
        bytes_ = pc.if_else(pc.is_valid(values), inner.messages, pa.scalar(None, pa.binary()))
        prefixes = col.prefixes(col.tag(field.number, col.DELIMITED), bytes_, empty_is_absent=False)
        return _Pieces([prefixes, bytes_], _within(name, inner.violations))
    return _scalar(field)(field, values, name)


def _repeated(field: FieldDescriptor, values: pa.Array, name: str) -> _Pieces:
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    items = values.flatten()
    item_tag = col.tag(field.number, col.DELIMITED)
    inner = Encoded(items, [])
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        inner = encode(field.message_type, items)
    elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        inner = Encoded(items.cast(pa.binary()), [])
    else:
        raise UnknownColumnError(f"{field.full_name}: lists of numbers are not supported")
    framed = col.join(col.prefixes(item_tag, inner.messages, empty_is_absent=False), inner.messages)
    owners = np.repeat(np.arange(len(values)), lengths)
    violations = []
    for reason, mask in _within(name, inner.violations):
        owning = np.zeros(len(values), np.bool_)
        owning[owners[mask]] = True
        violations.append((reason, owning))
    return _Pieces([col.join_lists(framed, lengths)], violations)


def _within(name: str, violations: list[Violation]) -> list[Violation]:
    return [(f"{name}.{reason}", mask) for reason, mask in violations]


Encoder = Callable[[FieldDescriptor, pa.Array, str], _Pieces | _FixedField]


def _scalar(field: FieldDescriptor) -> Encoder:
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return _text
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _bool
    if field.type in _INTEGERS or field.type in _VARINTS:
        return _integer
    if field.type in _FLOATS:
        return _float
    raise UnknownColumnError(f"{field.full_name}: a type that no column fills")


def _text(field: FieldDescriptor, values: pa.Array, _name: str) -> _Pieces:
    values = values.cast(pa.binary())
    prefixes = col.prefixes(
        col.tag(field.number, col.DELIMITED), values, empty_is_absent=not field.has_presence
    )
    return _Pieces([prefixes, values], [])


def _bool(field: FieldDescriptor, values: pa.Array, _name: str) -> _Pieces:
    if field.has_presence:
        raise UnknownColumnError(f"{field.full_name}: an optional bool is not supported")
    if not pc.any(values).as_py():
        return _Pieces([], [])
    return _Pieces([col.flags(col.tag(field.number, col.VARINT), values)], [])


def _integer(field: FieldDescriptor, values: pa.Array, name: str) -> _Pieces | _FixedField:
    violations: list[Violation] = []
    present = _valid(values)
    if pa.types.is_timestamp(values.type):
        numbers = _milliseconds(values)
        early = present & (numbers <= 0)
        if early.any():
            # 0 would mean "does not expire"
            violations.append((f"{name} is not after 1970-01-01", early))
    else:
        numbers = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    least, most = (_INTEGERS[field.type][1:]) if field.type in _INTEGERS else _VARINTS[field.type]
    outside = (numbers < least) | (numbers > most)
    if outside.any():
        violations.append((f"{name} is out of range [{least}, {most}]", outside))
    if not field.has_presence:
        present = present & (numbers != 0)
    if field.type in _INTEGERS:
        kind = _INTEGERS[field.type][0]
        wire = col.FIXED32 if np.dtype(kind).itemsize == 4 else col.FIXED64
        fixed = col.Fixed(col.tag(field.number, wire), numbers.astype(kind), present)
        return _FixedField(fixed, violations)
    framed = col.join(col.tag(field.number, col.VARINT), col.varints(numbers.astype(np.uint64)))
    return _Pieces([pc.if_else(pa.array(present), framed, b"")], violations)


def _float(field: FieldDescriptor, values: pa.Array, _name: str) -> _FixedField:
    kind, bits = _FLOATS[field.type]
    present = _valid(values)
    numbers = pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False).astype(kind)
    if not field.has_presence:
        # by bits: -0.0 is written
        present = present & (numbers.view(bits) != 0)
    wire = col.FIXED32 if np.dtype(kind).itemsize == 4 else col.FIXED64
    return _FixedField(col.Fixed(col.tag(field.number, wire), numbers, present), [])


def _valid(values: pa.Array) -> Mask:
    valid: Mask = pc.is_valid(values).to_numpy(zero_copy_only=False)
    return valid


def _milliseconds(values: pa.Array) -> npt.NDArray[np.int64]:
    per_millisecond = {"ms": 1, "us": 1_000, "ns": 1_000_000}.get(values.type.unit)
    whole = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if per_millisecond is None:  # seconds
        return np.asarray(whole * 1_000, np.int64)
    return np.asarray(whole // per_millisecond, np.int64)
