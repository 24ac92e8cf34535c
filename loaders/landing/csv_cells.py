"""Rows of CSV as columns of texts: by Arrow where every line is a row by itself, else by Python's reader.

The two read alike what is written plainly: cells without quotes, or quoted from end to end, without line
endings in them. Only blocks of nothing else are Arrow's.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from loaders.landing.errors import LandingError
from loaders.landing.notifications.json_columns import bytes_of
from loaders.landing.notifications.objects import Mask
from loaders.landing.text_columns import texts_of

_BLOCK_CHARACTERS = 8 << 20
_LONGEST_BLOCK: Final = 64 << 20
"""No cell in it is longer than Python's reader takes."""
_BYTE_ORDER_MARK: Final = "\ufeff"


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


def read_cells(name: str, text: io.TextIOWrapper, separator: str, width: int) -> Iterator[Cells]:
    """Blocks of the rows, at least one; ``width`` is the number of the header's columns.

    Raises:
        LandingError: the file is no CSV; names the row.
    """
    before = 0
    lines = text.readlines(_BLOCK_CHARACTERS)
    while True:
        cells = _at_once(lines, separator, width)
        if cells is None:
            cells = _one_by_one(name, before, lines, text, separator, width)
        yield cells
        before += len(cells)
        lines = text.readlines(_BLOCK_CHARACTERS)
        if not lines:
            return


def _at_once(lines: Sequence[str], separator: str, width: int) -> Cells | None:
    """The rows of lines that are one each; None when they are not, or need a closer look."""
    if not lines or lines[0].startswith(_BYTE_ORDER_MARK):
        return None
    try:
        texts = pa.array([line.encode() for line in lines], pa.string())
    except UnicodeEncodeError:
        return None
    data, _ = bytes_of(texts)
    if data.size > _LONGEST_BLOCK or not pc.all(pc.match_substring_regex(texts, _a_row(separator))).as_py():
        return None
    names = [str(place) for place in range(width)]
    try:
        table = pv.read_csv(
            pa.BufferReader(data),
            pv.ReadOptions(use_threads=False, block_size=data.size + 1, column_names=names),
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
    rows = [line for line in lines if line.strip("\r\n")]
    if table.num_rows != len(rows):
        return None
    fits = np.zeros(len(rows), bool)
    return Cells(
        [table.column(name).combine_chunks() for name in names],
        [fits] * width,
        fits,
        lambda place: next(csv.reader([rows[place]], strict=True, delimiter=separator)),
    )


@cache
def _a_row(separator: str) -> str:
    """The pattern of a line that is a whole row, with nothing in it that one reader may take for another."""
    cell = rf'(?:[^"{separator}\r\n\x00]*|"(?:[^"\r\n\x00]|"")*")'
    return rf"^{cell}(?:[{separator}]{cell})*(?:\r\n|\n|\r)?$"


def _one_by_one(
    name: str, before: int, lines: Sequence[str], text: io.TextIOWrapper, separator: str, width: int
) -> Cells:
    """The rows of the lines, with as many more lines of the text as the last row has."""
    left = len(lines)

    def taken() -> Iterator[str]:
        nonlocal left
        for line in chain(lines, iter(text.readline, "")):
            left -= 1
            yield line

    rows: list[list[str]] = []
    try:
        for row in csv.reader(taken() if lines else (), strict=True, delimiter=separator):
            if row:
                rows.append(row)
            if left <= 0:
                break
    except csv.Error as error:
        raise LandingError(f"{name}: row {before + len(rows) + 1}: {error}") from error
    ragged = np.array([len(row) != width for row in rows], bool)
    whole = [[""] * width if is_ragged else row for row, is_ragged in zip(rows, ragged, strict=True)]
    columns = [texts_of(cells) for cells in zip(*whole, strict=True)] or [texts_of(())] * width
    return Cells([texts for texts, _ in columns], [unfit for _, unfit in columns], ragged, rows.__getitem__)
