"""Rows of CSV as columns of texts: by Arrow where every line is a row by itself, else by Python's reader.

The two read alike what is written plainly: cells without quotes, or quoted from end to end, without line
endings in them. Only blocks of nothing else are Arrow's.
"""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from loaders.landing.arrays import Bytes, Mask, places_of, text_of_bytes
from loaders.landing.blocks import WholeLines
from loaders.landing.errors import LandingError
from loaders.landing.text_columns import texts_of

_BLOCK_BYTES = 8 << 20
_LONGEST_BLOCK: Final = 64 << 20
"""No cell in it is longer than Python's reader takes."""


@dataclass(frozen=True)
class Cells:
    """Some rows of a file, without lines that hold nothing."""

    texts: Sequence[pa.Array]
    """By column, an empty cell as null."""
    unfit: Sequence[Mask]
    """By column the cells that are no UTF-8, which are null."""
    ragged: Mask
    """The rows that have not as many cells as the header, all of which are null."""
    row: Callable[[int], list[str]]
    """The cells of the row at a place, as they are."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.ragged)


def read_cells(name: str, text: WholeLines, separator: str, width: int) -> Iterator[Cells]:
    """Blocks of the rows, at least one; ``width`` is the number of the header's columns.

    Raises:
        LandingError: the file is no CSV; names the row.
    """
    before = 0
    blocks = text.blocks(_BLOCK_BYTES)
    for block in chain([next(blocks, b"")], blocks):
        cells = _at_once(block, separator, width)
        if cells is None:
            cells = _one_by_one(name, before, block, blocks, separator, width)
        yield cells
        before += len(cells)


def _at_once(data: bytes, separator: str, width: int) -> Cells | None:
    """The rows of lines that are one each; None when they are not, or need a closer look."""
    if not data or data.startswith(BOM_UTF8) or len(data) > _LONGEST_BLOCK:
        return None
    if not _are_rows(data, separator):
        return None
    names = [str(place) for place in range(width)]
    try:
        table = pv.read_csv(
            pa.BufferReader(data),
            pv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pv.ParseOptions(delimiter=separator),
            pv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    rows = _Rows(data, separator)
    if table.num_rows != len(rows):
        return None
    fits = np.zeros(table.num_rows, bool)
    return Cells(
        [table.column(name).combine_chunks() for name in names],
        [fits] * width,
        fits,
        rows,
    )


class _Rows:
    """The cells of rows that are a line each, of lines that hold something."""

    def __init__(self, data: bytes, separator: str) -> None:
        self._data = data
        self._separator = separator
        ends = places_of(_end, np.frombuffer(data, np.uint8))
        begins, ends = np.append(0, ends + 1), np.append(ends, len(data))
        self._begins, self._ends = begins[ends > begins], ends[ends > begins]

    def __len__(self) -> int:
        return len(self._begins)

    def __call__(self, place: int) -> list[str]:
        line = self._data[self._begins[place] : self._ends[place]].decode()
        return next(csv.reader([line], strict=True, delimiter=self._separator))


def _are_rows(data: bytes, separator: str) -> bool:
    """Whether each line is a whole row, with nothing in it that one reader may take for another."""
    try:
        text = text_of_bytes(data)
    except pa.ArrowInvalid:
        return False
    found: bool = pc.match_substring_regex(text, _rows_of(separator))[0].as_py()
    return found


def _end(data: Bytes) -> Mask:
    found: Mask = (data == ord("\n")) | (data == ord("\r"))
    return found


@cache
def _rows_of(separator: str) -> str:
    cell = rf'(?:[^"{separator}\r\n\x00]*|"(?:[^"\r\n\x00]|"")*")'
    row = f"{cell}(?:[{separator}]{cell})*"
    return rf"\A(?:{row}(?:\r\n|\n|\r))*(?:{row})?\z"


def _one_by_one(
    name: str, before: int, block: bytes, blocks: Iterator[bytes], separator: str, width: int
) -> Cells:
    """The rows of the block, and of as many more blocks as one begins in that does not end in it."""
    is_between = False

    def lines() -> Iterator[str]:
        nonlocal is_between
        for each in chain([block], blocks):
            taken = each.splitlines(keepends=True)
            for line in taken[:-1]:
                yield line.decode(errors="surrogateescape")
            is_between = True
            yield from (line.decode(errors="surrogateescape") for line in taken[-1:])
            is_between = False

    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines() if block else (), strict=True, delimiter=separator):
            if row:
                rows.append(row)
            if is_between:
                break
    except csv.Error as error:
        raise LandingError(f"{name}: row {before + len(rows) + 1}: {error}") from error
    ragged = np.array([len(row) != width for row in rows], bool)
    whole = [[""] * width if is_ragged else row for row, is_ragged in zip(rows, ragged, strict=True)]
    columns = [texts_of(cells) for cells in zip(*whole, strict=True)] or [texts_of(())] * width
    return Cells([texts for texts, _ in columns], [unfit for _, unfit in columns], ragged, rows.__getitem__)
