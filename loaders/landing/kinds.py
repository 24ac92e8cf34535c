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
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loaders.landing.arrays import Mask, bytes_of_each
from loaders.landing.batch import Kind, KindsOfRows
from loaders.landing.delivery import DeliveryError, OpenRow
from loaders.landing.errors import Refusal
from loaders.landing.notifications.json_paths import (
    CLOSER_LOOK,
    OBJECT,
    ReadPaths,
    Text,
    reader_of_paths,
)

_MANY: Final = 1 << 31


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

    def of_columns(
        self, columns: Mapping[str, pa.Array], texts: Mapping[str, Sequence[bytes | None]] | None = None
    ) -> KindsOfRows:
        """The kinds of rows.

        ``texts``: each text of JSON columns in UTF-8, where somebody has them.
        """
        length = len(next(iter(columns.values())))
        codes = np.zeros(length, np.int64)
        odd = np.zeros(length, bool)
        parts = []
        at_most = 1
        for column, read in self._readers.items():
            if read is None:
                part = _of_column(columns[column])
            else:
                part = _of_texts(texts[column] if texts else bytes_of_each(columns[column]), read)
            parts.append(part)
            odd |= part.unread
            codes = codes * len(part.values) + part.codes
            at_most *= len(part.values)
            if at_most > _MANY:
                _, codes = np.unique(codes, return_inverse=True)
                at_most = length
        # What could not be read is looked at row by row, and may be like no other.
        codes[odd] = at_most + np.arange(int(odd.sum()))
        _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
        kinds = []
        for index in first.tolist():
            if odd[index]:
                kinds.append(self.of_row({name: columns[name][index].as_py() for name in self.columns}))
            else:
                said = (part.values[part.codes[index]] for part in parts)
                kinds.append(self.tell(*chain.from_iterable(said)))
        return KindsOfRows(codes, kinds)

    @cached_property
    def _readers(self) -> dict[str, ReadPaths | None]:
        """By column, in the order of the places, what reads the paths in it; None: its value itself counts.

        Raises:
            ValueError: the places of a column do not follow each other.
        """
        inside: dict[str, dict[str, type]] = {}
        for place, kind in self.places.items():
            column, _, path = place.partition(".")
            if column in inside and column != list(inside)[-1]:
                raise ValueError(f"{place} does not follow the other places of {column}")
            inside.setdefault(column, {}).update({path: kind} if path else {})
        return {column: reader_of_paths(paths) if paths else None for column, paths in inside.items()}


@dataclass(frozen=True)
class _Part:
    """What a column of many rows says: the place of each among the different ``values``."""

    codes: npt.NDArray[np.int64]
    values: Sequence[tuple[Any, ...]]
    unread: Mask


def _of_column(values: pa.Array) -> _Part:
    encoded = values.dictionary_encode(null_encoding="encode")
    different = [(each,) for each in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return _Part(codes, different or [(None,)], np.zeros(len(values), bool))


def _of_texts(texts: Sequence[bytes | None], read: ReadPaths) -> _Part:
    different = {read(b"{}"): 0}
    codes, unread = [], np.zeros(len(texts), bool)
    for place, text in enumerate(texts):
        code = 0
        if text is not None:
            try:
                code = different.setdefault(read(text), len(different))
            except CLOSER_LOOK:
                unread[place] = True
        codes.append(code)
    return _Part(np.array(codes, np.int64), list(different), unread)


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


def kind_of_refusal(kind_of: KindOf, refusal: Refusal, open_row: OpenRow | None) -> Kind:
    """The kind of a refused row, or of a line that is no row at all."""
    row = _object_in(refusal.payload)
    if not isinstance(row, dict):
        return kind_of.of_row({})
    if open_row:
        with suppress(DeliveryError):
            row = open_row(row)
    return kind_of.of_row(row)
