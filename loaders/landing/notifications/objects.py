"""JSON objects of one kind, out of many payloads, as Arrow columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Objects:
    """Objects with the payload that each belongs to: a payload has one, none, or (from its lists) many."""

    def __init__(self, values: pa.StructArray, places: Places) -> None:
        self.values = values
        self.places = places

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, path: str) -> pa.Array:
        """A field by its keys joined by dots, aligned with the objects; null where an outer one is null."""
        found = self.values
        for key in path.split("."):
            found = pc.struct_field(found, key)
        return found

    @property
    def present(self) -> pa.Array:
        """True for the objects that are not null."""
        return pc.is_valid(self.values)

    def at(self, path: str) -> Objects:
        """The objects in a field, aligned with these."""
        return Objects(self[path], self.places)

    def where(self, mask: pa.Array) -> Objects:
        """Those for which the mask is true."""
        chosen = as_mask(mask)
        return Objects(self.values.filter(pa.array(chosen)), self.places[chosen])

    def each(self, path: str) -> Objects:
        """All elements of a list of objects."""
        lists = self[path]
        return Objects(lists.flatten(), self.places[_parents(lists)])

    def first(self, path: str) -> Objects:
        """The first element of each list of objects, aligned with these; null where there is none."""
        lists = self[path]
        parents = _parents(lists)
        begins, where = np.unique(parents, return_index=True)
        chosen = np.zeros(len(lists), np.int64)
        chosen[begins] = where
        absent = np.ones(len(lists), bool)
        absent[begins] = False
        return Objects(lists.flatten().take(pa.array(chosen, mask=absent)), self.places)

    def with_any(self, path: str, mask: pa.Array) -> pa.Array:
        """True for the objects of whose list at least one element has the mask (aligned with ``each``)."""
        found = np.zeros(len(self), bool)
        found[_parents(self[path])[as_mask(mask)]] = True
        return pa.array(found)


def as_mask(mask: Any) -> Mask:
    """For NumPy; unknown is false."""
    found = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return np.asarray(found, bool)


def _parents(lists: pa.ListArray) -> Places:
    """For every element of the lists: which list it is of."""
    return np.asarray(pc.list_parent_indices(lists).to_numpy(zero_copy_only=False), np.int64)
