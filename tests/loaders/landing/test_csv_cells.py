"""CSV is read a block at once as Python's reader reads it row by row: the same cells, or the same error."""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.landing import csv_cells
from loaders.landing.blocks import WholeLines
from loaders.landing.csv_cells import read_cells
from loaders.landing.errors import LandingError

PLAIN = ["a", "7", " ", "é", ",", ",", ";", '"', '"', '""', '"x"', '"{""a"": 1}"', "\n", "\n"]
ODD = ["\r\n", "\r", "\x00", "\ufeff", "\x0b", "\u2028", "\udcff"]
PIECES = st.sampled_from([*PLAIN, *ODD])


def text(content: str) -> io.TextIOWrapper:
    source = io.BytesIO(content.encode("utf-8", "surrogateescape"))
    return io.TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline="")


def whole_lines(content: str) -> WholeLines:
    # Only the file's first mark is none of its cells.
    source = io.BytesIO(BOM_UTF8 + content.encode("utf-8", "surrogateescape"))
    return WholeLines(io.BufferedReader(source))


def by_blocks(content: str, separator: str, width: int) -> Any:
    rows, columns = [], []
    try:
        for cells in read_cells("f.csv", whole_lines(content), separator, width):
            rows += [cells.row(place) for place in range(len(cells))]
            columns += list(zip(*(texts.to_pylist() for texts in cells.texts), strict=True))
    except LandingError as error:
        return str(error)
    return rows, columns


def row_by_row(content: str, separator: str, width: int) -> Any:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(text(content), strict=True, delimiter=separator):
            rows += [row] if row else []
    except csv.Error as error:
        return f"f.csv: row {len(rows) + 1}: {error}"
    return rows, [
        tuple(
            cell if cell and "\udcff" not in cell else None
            for cell in (row if len(row) == width else [""] * width)
        )
        for row in rows
    ]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(PIECES, max_size=30).map("".join),
    st.sampled_from([",", ";", "\t", "|"]),
    st.integers(1, 3),
    st.sampled_from([1, 8, 1000]),
)
def test_any_text(content: str, separator: str, width: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_cells, "_BLOCK_BYTES", block)
        assert by_blocks(content, separator, width) == row_by_row(content, separator, width)


def test_a_row_over_several_lines_is_whole_though_a_block_ends_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_cells, "_BLOCK_BYTES", 8)
    content = 'a,"{\n""b"":\n1}"\nc,d\n\ne,"""f"""\n'
    blocks = [
        [cells.row(place) for place in range(len(cells))]
        for cells in read_cells("f.csv", whole_lines(content), ",", 2)
    ]
    assert blocks == [[["a", '{\n"b":\n1}']], [["c", "d"]], [["e", '"f"']]]


def test_a_file_without_rows_is_one_block_of_none() -> None:
    [cells] = read_cells("f.csv", whole_lines(""), ",", 2)
    assert (len(cells), len(cells.texts)) == (0, 2)
