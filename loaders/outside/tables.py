"""CSV, NDJSON and Parquet as batches of columns, in bounded memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from segue.outside_file import Mistake, OutsideFileError

BATCH_ROWS: Final = 100_000
_BATCH_BYTES: Final = 8 << 20
_DELIMITERS: Final = (",", ";", "\t", "|")
_TEXTS: Final = (".csv", ".tsv", ".txt")
_LINES: Final = (".ndjson", ".jsonl")


@dataclass(frozen=True)
class Batch:
    """Some rows of a file: the columns that were asked for; the first row's number."""

    first_row: int
    columns: dict[str, pa.Array]

    @property
    def rows(self) -> int:
        """How many."""
        return len(next(iter(self.columns.values())))


def read_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    """The rows with the given columns: texts, or what a Parquet file has; rows count from 1.

    Raises:
        OutsideFileError: an unknown format, a file that cannot be read, or a column that it has not.
        OSError: there is no such file.
    """
    plain = _plain(path)
    try:
        if plain.suffix == ".parquet":
            yield from _read_parquet(path, columns)
        elif plain.suffix in _TEXTS:
            yield from _read_csv(path, columns)
        elif plain.suffix in _LINES:
            yield from _read_lines(path, columns)
        else:
            raise _unknown_format(path)
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
        raise OutsideFileError(path.name, f"cannot be read: {' '.join(str(error).split())}") from error


def read_table(path: Path) -> pa.Table:
    """The whole file, all its columns: texts, or what a Parquet file has.

    Raises:
        OutsideFileError: an unknown format, a file that cannot be read, a column named twice.
        OSError: there is no such file.
    """
    columns = _names(path)
    if not columns:
        raise OutsideFileError(path.name, "has no columns")
    batches = [pa.table(batch.columns) for batch in read_batches(path, columns)]
    if not batches:
        raise OutsideFileError(path.name, "has no rows")
    return pa.concat_tables(batches).combine_chunks()


def _names(path: Path) -> list[str]:
    """The columns of a file of any kind; those of NDJSON are its first line's."""
    plain = _plain(path)
    try:
        if plain.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        if plain.suffix in _LINES:
            with pa.input_stream(str(path), compression="detect") as source:
                first = io.TextIOWrapper(source, encoding="utf-8-sig", newline="").readline()
            return list(_object(path, 1, first)) if first else []
        if plain.suffix in _TEXTS:
            return _header(path, [])[1]
        raise _unknown_format(path)
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
        raise OutsideFileError(path.name, f"cannot be read: {' '.join(str(error).split())}") from error


def _unknown_format(path: Path) -> OutsideFileError:
    return OutsideFileError(path.name, "unknown format, expected .csv, .tsv, .ndjson or .parquet")


def _plain(path: Path) -> Path:
    """A compressed text file is read as what it is once it is unpacked."""
    return Path(path.stem) if path.suffix in (".gz", ".bz2", ".zst") else path


def _check(path: Path, columns: Sequence[str], found: Sequence[str]) -> None:
    for column in columns:
        if column not in found:
            raise OutsideFileError(
                path.name,
                f"column {column} is in the map but not in the file (it has {', '.join(found) or 'none'})",
            )
        if list(found).count(column) > 1:
            raise OutsideFileError(path.name, f"column {column} is in the header twice")


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    with pq.ParquetFile(path) as file:
        _check(path, columns, file.schema_arrow.names)
        first = 1
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
            yield Batch(first, {column: batch.column(column) for column in columns})
            first += batch.num_rows


def _header(path: Path, columns: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter by which the first line has most of the columns (of any, where none are asked for), and
    the line's names."""
    with pa.input_stream(str(path), compression="detect") as source:
        text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
        start = text.read(1 << 16)
    headers = {
        delimiter: next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter), [])
        for delimiter in _DELIMITERS
    }
    best = max(_DELIMITERS, key=lambda each: len(set(columns or headers[each]) & set(headers[each])))
    return best, headers[best]


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    delimiter, header = _header(path, columns)
    _check(path, columns, header)
    uneven: list[Mistake] = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        message = f"has {row.actual_columns} values, the header {row.expected_columns}"
        # Arrow counts the header as a row.
        uneven.append(Mistake((row.number or 1) - 1, "", message))
        return "error"

    try:
        with pa.input_stream(str(path), compression="detect") as source:
            reader = pa_csv.open_csv(
                source,
                pa_csv.ReadOptions(use_threads=False, block_size=_BATCH_BYTES),
                pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse),
                pa_csv.ConvertOptions(
                    include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string())
                ),
            )
            first = 1
            for batch in reader:
                yield Batch(first, {column: batch.column(column) for column in columns})
                first += batch.num_rows
    except pa.ArrowInvalid as error:
        if uneven:
            raise OutsideFileError(path.name, uneven) from error
        raise


def _read_lines(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    with pa.input_stream(str(path), compression="detect") as source:
        text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
        first = 1
        while lines := text.readlines(_BATCH_BYTES):
            rows = [_object(path, number, line) for number, line in enumerate(lines, first)]
            for number, row in enumerate(rows, first):
                absent = [column for column in columns if column not in row]
                if absent:
                    raise OutsideFileError(path.name, [Mistake(number, absent[0], "is not there")])
            yield Batch(first, {each: pa.array([_text(row[each]) for row in rows]) for each in columns})
            first += len(lines)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise OutsideFileError(path.name, [Mistake(number, "", f"is not JSON: {error}")]) from error
    if not isinstance(row, dict):
        raise OutsideFileError(path.name, [Mistake(number, "", "is not a JSON object")])
    return row


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
