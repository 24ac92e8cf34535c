"""Arrow's arrays for NumPy, and for readers that take bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_CACHED_BYTES: Final = 1 << 18


def as_mask(mask: Any) -> Mask:
    """For NumPy; unknown is false."""
    found = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return np.asarray(found, bool)


def text_of_bytes(data: bytes) -> pa.Array:
    """One text of these bytes, which are not copied.

    Raises:
        ArrowInvalid: they are no UTF-8.
    """
    bounds = pa.py_buffer(np.array([0, len(data)], np.int32))
    text = pa.Array.from_buffers(pa.string(), 1, [None, bounds, pa.py_buffer(data)])
    text.validate(full=True)
    return text


def bytes_of_each(texts: pa.Array) -> list[bytes | None]:
    """Each text in UTF-8."""
    found: list[bytes | None] = texts.view(pa.binary()).to_pylist()
    return found


def bytes_of_all(texts: pa.Array) -> tuple[Bytes, Places]:
    """The texts' bytes, one text after another, and where in them each begins (and the last ends)."""
    _, offsets_buffer, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(offsets_buffer, np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    return np.frombuffer(data, np.uint8, last - first, first), offsets - first


def places_of(is_it: Callable[[Bytes], Mask], data: Bytes, ahead: int = 0) -> Places:
    """Places of the bytes for which ``is_it`` is true; by parts that the processor's cache holds.

    ``ahead``: how many of the bytes after one it looks at.
    """
    parts = range(0, len(data), _CACHED_BYTES)
    found = [
        np.flatnonzero(is_it(data[at : at + _CACHED_BYTES + ahead])[:_CACHED_BYTES]) + at for at in parts
    ]
    return np.concatenate([np.zeros(0, np.int64), *found])
