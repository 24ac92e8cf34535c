"""Rows of a billing export's files: CSV as the map says that it is written, or as its header shows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from loaders.landing.errors import LandingError
from loaders.landing.formats import compression_of, decompressed, text_bytes
from loaders.landing.header import cells_of, first_line, separator_of
from loaders.landing.period_events import Row
from loaders.landing.period_map import PeriodMap, Source
from loaders.landing.reasons import column_name

_GROUPED: Final = re.compile(r"-?\d{1,3}(?:[.'\s]\d{3})+(?:,\d+)?")
_UNGROUPED: Final = re.compile(r"-?\d+(?:,\d+)?")


def read_rows(path: Path, period_map: PeriodMap, sources: Iterable[Source]) -> Iterator[tuple[int, Row]]:
    """Data rows, numbered from 1; a row with too few or too many values has a None in it.

    Raises:
        LandingError: the file cannot be read, names a column twice, or lacks one that the map names.
    """
    name, encoding = path.name, period_map.encoding
    mapped = [source.column for source in sources if source.column is not None]
    try:
        with pa.OSFile(str(path)) as source:
            text = _text(name, source, encoding)
            line = first_line(name, text)
            separator = period_map.delimiter or separator_of(line, set(mapped), _trimmed)
            header = [_trimmed(each) for each in cells_of(line, separator)]
            _refuse_header(name, header, mapped)
            reader = csv.reader(text, strict=True, delimiter=separator)
            for number, cells in enumerate(filter(None, reader), 1):
                yield number, _row(header, cells)
    except UnicodeError as error:
        raise LandingError(
            f"{name}: is not {encoding}: {str(error)[:100]}; the map's encoding may name another (latin-1, "
            "cp1252, utf-16)"
        ) from error
    except (OSError, pa.ArrowException, csv.Error) as error:
        raise LandingError(f"{name}: cannot be read: {' '.join(str(error).split())[:200]}") from error


def _text(name: str, source: Any, encoding: str) -> io.TextIOWrapper:
    compression = compression_of(name)
    if encoding == "utf-8":
        return io.TextIOWrapper(text_bytes(name, source, compression), encoding="utf-8-sig", newline="")
    return io.TextIOWrapper(decompressed(source, compression), encoding=encoding, newline="")


def _trimmed(name: str) -> str:
    return name.strip("\ufeff \t\r\n\xa0")


def _refuse_header(name: str, header: list[str], mapped: Collection[str]) -> None:
    for column, times in Counter(header).items():
        if column and times > 1:
            raise LandingError(
                f"{name}: column {_shown(column, header)} is there {times} times: which one is meant?"
            )
    for column in mapped:
        if column not in header:
            # Of a file without a header the first line is somebody's row.
            has_header = not set(header).isdisjoint(mapped)
            found = ", ".join(_shown(each, header) for each in header) if has_header else "none of the map's"
            raise LandingError(f"{name}: column {column} is in the map but not in the file (it has {found})")


def _shown(column: str, header: Sequence[str]) -> str:
    """A column by its name, or by its place where the name may be somebody's value."""
    return column_name(column) or str(header.index(column) + 1)


def _row(header: list[str], cells: list[str]) -> Row:
    row: dict[Any, Any] = dict(zip(header, cells, strict=False))
    if len(cells) > len(header):
        row[None] = cells[len(header) :]
    return row | dict.fromkeys(header[len(cells) :])


def with_decimal_point(text: str) -> str | None:
    """An amount with a decimal comma, in groups of thousands or not, with a point; None when it is none."""
    if _GROUPED.fullmatch(text):
        text = re.sub(r"[.'\s]", "", text)
    return text.replace(",", ".") if _UNGROUPED.fullmatch(text) else None
