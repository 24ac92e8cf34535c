"""Texts that hold one JSON object each, read as Arrow columns by Arrow's own JSON reader.

The reader knows only what fits the asked-for types. What it cannot read is not said to be wrong: the row is
left out, and whoever asks looks at its text alone. What it reads is certain: one object, valid JSON as
pydantic's parser has it, no key that is asked for given twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from loaders.landing.notifications.objects import Mask, Objects, Places, as_mask

Bytes = npt.NDArray[np.uint8]

_PIECE_BYTES = 4 << 20
_CACHED_BYTES = 1 << 18
_FEW_LINES = 32
"""So many are looked at one by one sooner than cut in halves once more."""
_REFUSED_SHARE = 64
"""When the reader refuses more than one line in so many, the rest of a piece is looked at line by line."""
_DEPTH = 150
"""pydantic's parser ends at 200 levels, Arrow's nowhere: what opens more brackets is left out."""
_ROW_OF_ERROR = re.compile(r"in row (\d+)")
_BEFORE_A_VALUE = np.frombuffer(b":[,- \t\r\n", np.uint8)


def read_objects(texts: pa.Array, like: pa.StructType) -> Iterator[Objects]:
    """The objects of the texts that can be read as ``like``; others are left out.

    Fields that ``like`` does not name are skipped. The literal ``null`` and null texts are left out too.
    """
    places = np.nonzero(as_mask(pc.is_valid(texts)))[0]
    schema = pa.schema([("p", like)])
    # Each text is a value of its own line's object, so that no text can end a line or begin another: as many
    # objects as lines come back only when every text is one value.
    lines = pc.binary_join_element_wise('{"p":', texts.drop_null(), "}\n", "")
    odd = _odd(lines)
    if odd.any():
        lines, places = lines.filter(pa.array(~odd)), places[~odd]
    for values, first in _read(lines, schema):
        objects = Objects(values, places[first : first + len(values)])
        yield objects.where(objects.present) if values.null_count else objects


def read_in_pieces(texts: pa.Array, like: pa.StructType) -> Iterator[Objects]:
    """The same of any number of texts, a bounded number at a time."""
    for start, stop in pieces(texts):
        for objects in read_objects(texts.slice(start, stop - start), like):
            yield Objects(objects.values, objects.places + start)


def struct_of(paths: Mapping[str, pa.DataType]) -> pa.StructType:
    """The objects in which the paths (keys joined by dots) are, and nothing else of them."""
    inner: dict[str, dict[str, pa.DataType]] = {}
    for path, kind in paths.items():
        key, _, rest = path.partition(".")
        inner.setdefault(key, {}).update({rest: kind} if rest else {})
    return pa.struct(
        [pa.field(key, struct_of(rests) if rests else paths[key]) for key, rests in inner.items()]
    )


def union(structs: Sequence[pa.StructType]) -> pa.StructType:
    """All fields of several kinds of objects.

    Raises:
        TypeError: a field that two have is neither of one type nor an object in both.
    """
    fields: dict[str, pa.DataType] = {}
    for struct in structs:
        for field in struct:
            known = fields.get(field.name, field.type)
            if pa.types.is_struct(field.type) and pa.types.is_struct(known):
                fields[field.name] = union([known, field.type])
            elif known != field.type:
                raise TypeError(f"{field.name} is {known} and {field.type}")
            else:
                fields[field.name] = field.type
    return pa.struct([pa.field(name, kind) for name, kind in fields.items()])


def told_at(objects: Objects, path: str, kind: pa.DataType) -> pa.Array:
    """What stands at a path of the objects; of an object: whether one is there."""
    values = objects[path]
    return pc.is_valid(values) if pa.types.is_struct(kind) else values


def told_type(kind: pa.DataType) -> pa.DataType:
    """The type of what ``told_at`` tells."""
    return pa.bool_() if pa.types.is_struct(kind) else kind


def in_place(found: Sequence[tuple[Places, pa.Array]], length: int, kind: pa.DataType) -> pa.Array:
    """Values that belong to so many rows, each at the place of its own; null at all others."""
    if not found:
        return pa.nulls(length, kind)
    values = pa.concat_arrays([each for _, each in found])
    order = np.full(length, -1, np.int64)
    order[np.concatenate([places for places, _ in found])] = np.arange(len(values))
    return values.take(pa.array(order, mask=order < 0))


def pieces(texts: pa.Array) -> Iterator[tuple[int, int]]:
    """Bounds of runs of texts to read at once: as columns texts take a few times their size."""
    ends = np.cumsum(pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64))
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PIECE_BYTES, side="right")))
        yield start, stop
        start = stop


def bytes_of(lines: pa.Array) -> tuple[pa.Buffer, npt.NDArray[np.int64]]:
    """The lines' bytes, one after another, and where in them each begins (and the last ends)."""
    _, offsets_buffer, data = lines.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32, len(lines) + 1, lines.offset * 4).astype(np.int64)
    return data.slice(int(offsets[0]), int(offsets[-1] - offsets[0])), offsets - offsets[0]


def _odd(lines: pa.Array) -> Mask:
    """Lines that Arrow's reader may take though they hold NaN or Infinity, or are nested without end."""
    if not len(lines):
        return np.zeros(0, bool)
    buffer, offsets = bytes_of(lines)
    data = np.frombuffer(buffer, np.uint8)
    opening = _found(lambda part: (part | 0x20) == ord("{"), data)
    odd: Mask = np.diff(np.searchsorted(opening, offsets)) > _DEPTH
    for word in (b"NaN", b"Inf"):
        # Every line ends in a brace and a new line: two bytes follow whatever is found in it.
        found = _found(partial(np.equal, word[0]), data)
        found = found[(data[found + 1] == word[1]) & (data[found + 2] == word[2])]
        found = found[np.isin(data[found - 1], _BEFORE_A_VALUE)]
        odd[np.searchsorted(offsets, found, side="right") - 1] = True
    return odd


def _found(is_it: Callable[[Bytes], Mask], data: Bytes) -> Places:
    """Places of the bytes; by parts that the processor's cache holds."""
    parts = range(0, len(data), _CACHED_BYTES)
    return np.concatenate([np.flatnonzero(is_it(data[at : at + _CACHED_BYTES])) + at for at in parts])


def _read(lines: pa.Array, schema: pa.Schema) -> Iterator[tuple[pa.StructArray, int]]:
    """Runs of lines that could be read, each with the place of its first."""
    runs = [(0, len(lines))]
    refusals = 0
    while runs:
        start, stop = runs.pop()
        if start == stop or refusals > _FEW_LINES + len(lines) // _REFUSED_SHARE:
            continue
        part = lines.slice(start, stop - start)
        try:
            yield _parsed(part, schema), start
            continue
        except pa.ArrowInvalid as error:
            refusals += 1
            named = _ROW_OF_ERROR.search(str(error))
        # Where the error names a line, the lines before it are tried first. Should it name another one than
        # it means, that costs time and nothing else: only what has been read counts.
        if named and int(named[1]) < len(part):
            wrong = start + int(named[1])
            runs += [(wrong + 1, stop), (start, wrong)]
        elif len(part) > _FEW_LINES:
            middle = (start + stop) // 2
            runs += [(middle, stop), (start, middle)]


def _parsed(lines: pa.Array, schema: pa.Schema) -> pa.StructArray:
    """The values of the lines.

    Raises:
        ArrowInvalid: a line is not one value of the schema.
    """
    data, _ = bytes_of(lines)
    table = pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(use_threads=False, block_size=data.size + 1),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
    if table.num_rows != len(lines):
        raise pa.ArrowInvalid("a text holds more than one value")
    return table.column(0).combine_chunks()
