"""What kind of message a row is: kinds that are none of our business are counted and left out.

A company points its whole feed at the landing: most of what a billing provider tells has nothing to do with
subscriptions, or is a test. And a feed whose renewals are all refused is broken, however many other rows it
has: so refusals are judged by kind, too.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.batch import Kind, KindsOfRows
from loaders.landing.delivery import DeliveryError, OpenRow
from loaders.landing.errors import Refusal
from loaders.landing.notifications.json_columns import (
    in_place,
    read_in_pieces,
    struct_of,
    told_at,
    told_type,
)
from loaders.landing.notifications.objects import Mask, Places, as_mask

OBJECT: Final = dict
"""The type of a place at which it only counts whether an object is there."""


class Text(str):
    """The type of a place at which it only counts whether a text is there: each id would be another kind."""

    __slots__ = ()


_MANY: Final = 1 << 31
_LEAVES: Final[Mapping[type, pa.DataType]] = {
    str: pa.string(),
    int: pa.int64(),
    bool: pa.bool_(),
    Text: pa.string(),
    OBJECT: pa.struct([pa.field("_", pa.string())]),
}


@dataclass(frozen=True)
class PathsRead:
    """What stands at paths inside the texts of a JSON column: of an object, whether one is there."""

    found: Mapping[str, pa.Array]
    unread: Mask
    """True for the texts that could not be read, though they may be objects."""


@dataclass(frozen=True)
class KindOf:
    """How a row says what kind of message it is: by a column, or at places inside a JSON column.

    ``places``: column, or column and keys joined by dots, with the type of what stands there. ``tell`` is
    given what stands there (of another type or absent: None; ``OBJECT`` and ``Text``: whether one is there).
    """

    places: Mapping[str, type]
    tell: Callable[..., Kind]

    def __repr__(self) -> str:
        """With the code that tells: other code, other rows (for the digest of a landed day)."""
        told_by = self.tell.func if isinstance(self.tell, partial) else self.tell
        source = inspect.getsource(sys.modules[told_by.__module__])
        return f"KindOf({sorted(self.places)}, {hashlib.sha256(source.encode()).hexdigest()})"

    @classmethod
    def of_column(cls, name: str, known: Collection[str]) -> KindOf:
        """The kind stands in a column of its own; no kind is ignored."""
        return cls({name: str}, partial(_in_column, known))

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are looked at."""
        return frozenset(place.partition(".")[0] for place in self.places)

    def of_row(self, row: Mapping[str, Any]) -> Kind:
        """The kind of one row; JSON columns may be texts or objects."""
        objects: dict[str, Any] = {}
        values = []
        for place, kind in self.places.items():
            column, *keys = place.split(".")
            if column not in objects:
                objects[column] = _object_in(row.get(column)) if keys else row.get(column)
            value = objects[column]
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            right = isinstance(value, str if kind is Text else kind)
            right = right and not (kind is int and isinstance(value, bool))
            values.append(right if kind in (OBJECT, Text) else value if right else None)
        return self.tell(*values)

    def paths_in(self, column: str) -> dict[str, pa.DataType]:
        """The paths inside a JSON column that are looked at, and the types in which to read them."""
        places = ((place.partition("."), kind) for place, kind in self.places.items())
        return {path: _LEAVES[kind] for (name, _, path), kind in places if path and name == column}

    def of_columns(
        self, columns: Mapping[str, pa.Array], read: Mapping[str, PathsRead] | None = None
    ) -> KindsOfRows:
        """The kinds of rows.

        ``read``: by JSON column what others have read of it; what they could not read is tried here.
        """
        length = len(next(iter(columns.values())))
        codes = np.zeros(length, np.int64)
        odd = np.zeros(length, bool)
        said = []
        at_most = 1
        for values, unread in self._values(columns, read or {}):
            said.append(values)
            odd |= unread
            encoded = values.dictionary_encode(null_encoding="encode")
            different = max(1, len(encoded.dictionary))
            codes = codes * different + encoded.indices.to_numpy(zero_copy_only=False)
            at_most *= different
            if at_most > _MANY:
                _, codes = np.unique(codes, return_inverse=True)
                at_most = length
        # What Arrow could not read is looked at row by row, and may be like no other.
        codes[odd] = at_most + np.arange(int(odd.sum()))
        _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
        kinds = []
        for index in first.tolist():
            if odd[index]:
                kinds.append(self.of_row({name: columns[name][index].as_py() for name in self.columns}))
            else:
                kinds.append(self.tell(*(values[index].as_py() for values in said)))
        return KindsOfRows(codes, kinds)

    def _values(
        self, columns: Mapping[str, pa.Array], read: Mapping[str, PathsRead]
    ) -> Iterator[tuple[pa.Array, Mask]]:
        """For each place what stands there, and a mask of the rows that could not be read."""
        inside: dict[str, PathsRead] = {}
        for place, kind in self.places.items():
            column, _, path = place.partition(".")
            if not path:
                yield columns[column], np.zeros(len(columns[column]), bool)
                continue
            if column not in inside:
                inside[column] = _read(columns[column], self.paths_in(column), read.get(column))
            values = inside[column].found[path]
            if kind is OBJECT:
                values = pc.fill_null(values, False)
            elif kind is Text:
                values = pc.is_valid(values)
            yield values, inside[column].unread


def _in_column(known: Collection[str], value: str | None) -> Kind:
    return Kind(str(value), is_known=value in known)


def _object_in(value: Any) -> Any:
    """The object of a JSON column; None when it is none that can be read."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _read(texts: pa.Array, paths: Mapping[str, pa.DataType], before: PathsRead | None) -> PathsRead:
    """What stands at the paths of each text; with what was read of some ``before``."""
    if before and not before.unread.any():
        return before
    left = before.unread if before else as_mask(texts.is_valid())
    unread = left.copy()
    found: dict[str, list[tuple[Places, pa.Array]]] = {path: [] for path in paths}
    if before:
        for path in paths:
            found[path].append((np.nonzero(~left)[0], before.found[path].filter(pa.array(~left))))
    among = np.nonzero(left)[0]
    for objects in read_in_pieces(texts.filter(pa.array(left)), struct_of(paths)):
        places = among[objects.places]
        unread[places] = False
        for path, kind in paths.items():
            found[path].append((places, told_at(objects, path, kind)))
    return PathsRead(
        {path: in_place(found[path], len(texts), told_type(kind)) for path, kind in paths.items()}, unread
    )


def kind_of_refusal(kind_of: KindOf, refusal: Refusal, open_row: OpenRow | None) -> Kind:
    """The kind of a refused row, or of a line that is no row at all."""
    row = _object_in(refusal.payload)
    if not isinstance(row, dict):
        return kind_of.of_row({})
    if open_row:
        with suppress(DeliveryError):
            row = open_row(row)
    return kind_of.of_row(row)
