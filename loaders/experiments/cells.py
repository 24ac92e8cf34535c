"""Cells as numbers, and as the names of variants and units."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from experiments.statistics.exact import LARGEST
from segue.outside_file import label

_NUMBER: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def texts_of(cells: pa.Array) -> pa.Array:
    """The cells as texts without surrounding white space; an absent one is empty."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return pc.utf8_trim_whitespace(pc.fill_null(cells.cast(pa.string()), ""))


def labels_of(cells: pa.Array) -> npt.NDArray[Any]:
    """The cells as the names of variants."""
    encoded = texts_of(cells).dictionary_encode()
    names = np.array([label(each) for each in encoded.dictionary.to_pylist()], dtype=object)
    places: npt.NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
    named: npt.NDArray[Any] = names[places]
    return named


def numbers_of(cells: pa.Array) -> tuple[Floats, Mask, Mask]:
    """The cells' numbers (0 where there is none), which of them are empty, and which are no numbers.

    0/1, true and false, and whatever Python would read as a finite number below ``LARGEST``.
    """
    kind = cells.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        empty = _mask(pc.is_null(cells))
        numbers = pc.fill_null(cells, False if pa.types.is_boolean(kind) else 0).cast(
            pa.float64(), safe=False
        )
        numbers = numbers.to_numpy(zero_copy_only=False).copy()
    else:
        texts = pc.utf8_lower(texts_of(cells))
        empty = _mask(pc.equal(texts, ""))
        texts = pc.if_else(pc.equal(texts, "true"), "1", pc.if_else(pc.equal(texts, "false"), "0", texts))
        is_number = pc.match_substring_regex(texts, _NUMBER)
        # Arrow reads no leading plus sign.
        read = pc.utf8_ltrim(pc.if_else(is_number, texts, "nan"), "+").cast(pa.float64())
        numbers = read.to_numpy(zero_copy_only=False).copy()
    numbers[empty] = 0
    wrong = ~(np.abs(numbers) < LARGEST)
    numbers[wrong] = 0
    return numbers, empty, wrong


def _mask(flags: pa.Array) -> Mask:
    mask: Mask = flags.to_numpy(zero_copy_only=False)
    return mask
