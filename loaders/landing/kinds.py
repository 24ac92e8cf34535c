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
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.batch import Batch, Kind
from loaders.landing.delivery import DeliveryError, OpenRow
from loaders.landing.errors import Refusal
from loaders.landing.notifications.json_columns import read_in_pieces
from loaders.landing.notifications.objects import as_mask

OBJECT: Final = dict
"""The type of a place at which it only counts whether an object is there."""
_LEAVES: Final[Mapping[type, pa.DataType]] = {
    str: pa.string(),
    int: pa.int64(),
    bool: pa.bool_(),
    OBJECT: pa.struct([pa.field("_", pa.string())]),
}


@dataclass(frozen=True)
class KindOf:
    """How a row says what kind of message it is: by a column, or at places inside a JSON column.

    ``places``: column, or column and keys joined by dots, with the type of what stands there. ``tell`` is
    given what stands there (of another type or absent: None; an ``OBJECT``: whether there is one).
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
            right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
            values.append(right if kind is OBJECT else value if right else None)
        return self.tell(*values)

    def of_columns(self, columns: Mapping[str, pa.Array]) -> tuple[npt.NDArray[np.int64], list[Kind]]:
        """Of each row the place of its kind in the list of kinds that there are."""
        length = len(next(iter(columns.values())))
        codes = np.zeros(length, np.int64)
        odd = np.zeros(length, bool)
        said = []
        for values, unread in self._values(columns):
            said.append(values)
            odd |= unread
            encoded = values.dictionary_encode(null_encoding="encode")
            codes = codes * max(1, len(encoded.dictionary)) + encoded.indices.to_numpy(zero_copy_only=False)
            _, codes = np.unique(codes, return_inverse=True)
        # What Arrow could not read is looked at row by row, and may be like no other.
        codes[odd] = length + np.arange(int(odd.sum()))
        _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
        kinds = []
        for index in first.tolist():
            if odd[index]:
                kinds.append(self.of_row({name: each[index].as_py() for name, each in columns.items()}))
            else:
                kinds.append(self.tell(*(values[index].as_py() for values in said)))
        return codes, kinds

    def _values(self, columns: Mapping[str, pa.Array]) -> Iterator[tuple[pa.Array, npt.NDArray[np.bool_]]]:
        """For each place what stands there, and a mask of the rows that could not be read."""
        inside: dict[str, dict[str, pa.Array]] = {}
        unread: dict[str, npt.NDArray[np.bool_]] = {}
        for place, kind in self.places.items():
            column, _, path = place.partition(".")
            if not path:
                yield columns[column], np.zeros(len(columns[column]), bool)
                continue
            if column not in inside:
                paths = {
                    each.partition(".")[2]: each_kind
                    for each, each_kind in self.places.items()
                    if each.startswith(f"{column}.")
                }
                inside[column], unread[column] = _read(columns[column], paths)
            values = inside[column][path]
            yield pc.is_valid(values) if kind is OBJECT else values, unread[column]


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


def _read(texts: pa.Array, paths: Mapping[str, type]) -> tuple[dict[str, pa.Array], npt.NDArray[np.bool_]]:
    """What stands at the paths of each text, and a mask of the texts that could not be read."""
    unread = as_mask(texts.is_valid())
    found: dict[str, list[pa.Array]] = {path: [] for path in paths}
    read: list[npt.NDArray[np.int64]] = []
    for objects in read_in_pieces(texts, _type_of(paths)):
        unread[objects.places] = False
        read.append(objects.places)
        for path in paths:
            found[path].append(objects[path])
    order = np.full(len(texts), -1, np.int64)
    places = np.concatenate([np.zeros(0, np.int64), *read])
    order[places] = np.arange(len(places))
    take = pa.array(order, mask=order < 0)
    return {
        path: pa.concat_arrays(arrays).take(take) if arrays else pa.nulls(len(texts), _LEAVES[paths[path]])
        for path, arrays in found.items()
    }, unread


def _type_of(paths: Mapping[str, type]) -> pa.StructType:
    """The objects in which the paths are, and nothing else of them."""
    inner: dict[str, dict[str, type]] = {}
    for path, kind in paths.items():
        key, _, rest = path.partition(".")
        inner.setdefault(key, {}).update({rest: kind} if rest else {})
    return pa.struct(
        [pa.field(key, _type_of(rests) if rests else _LEAVES[paths[key]]) for key, rests in inner.items()]
    )


def sort_out(kind_of: KindOf | None, batch: Batch, open_row: OpenRow | None) -> Batch:
    """The batch without what is ignored, which it counts, and with the kinds of what is left.

    ``kind_of`` None: the table's rows are all of one kind, and none is ignored.
    """
    if kind_of is None:
        return batch
    table = batch.rows.combine_chunks()
    codes, kinds = kind_of.of_columns({name: _array(table.column(name)) for name in kind_of.columns})
    counts = np.bincount(codes, minlength=len(kinds)).tolist()
    found: Counter[Kind] = Counter()
    for kind, count in zip(kinds, counts, strict=True):
        found[kind] += count
    unreadable = [(refusal, kind_of_refusal(kind_of, refusal, open_row)) for refusal in batch.unreadable]
    found.update(kind for _, kind in unreadable)
    batch = replace(batch, kinds=Counter({kind: n for kind, n in found.items() if kind.ignored is None}))
    if len(batch.kinds) == len(found):
        return batch
    stays = pa.array(np.array([kind.ignored is None for kind in kinds], bool)[codes])
    return replace(
        batch,
        rows=table.filter(stays),
        numbers=batch.numbers.filter(stays),
        unreadable=tuple(refusal for refusal, kind in unreadable if kind.ignored is None),
        ignored=Counter({kind: n for kind, n in found.items() if kind.ignored is not None}),
    )


def ignored_rows(kind_of: KindOf, columns: Mapping[str, pa.Array]) -> npt.NDArray[np.bool_]:
    """A mask of the rows that are left out."""
    codes, kinds = kind_of.of_columns({name: columns[name] for name in kind_of.columns})
    return np.array([kind.ignored is not None for kind in kinds], bool)[codes]


def kind_of_refusal(kind_of: KindOf, refusal: Refusal, open_row: OpenRow | None) -> Kind:
    """The kind of a refused row, or of a line that is no row at all."""
    row = _object_in(refusal.payload)
    if not isinstance(row, dict):
        return kind_of.of_row({})
    if open_row:
        with suppress(DeliveryError):
            row = open_row(row)
    return kind_of.of_row(row)


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
