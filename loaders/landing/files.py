"""Landing files: reading them in bounded batches, whatever their format."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from loaders.landing.errors import LandingError, Refusal
from loaders.landing.row import LandingRow
from loaders.landing.schema import Column, arrow_schema, columns_of
from loaders.objects.store import ObjectStore, ObjectStoreError, StoredObject

BATCH_ROWS = 100_000
FORMATS = (".parquet", ".ndjson", ".csv")


@dataclass(frozen=True)
class LandingFile:
    """One file of a table's arrival day, open for reading; ``name`` is its path below the landing root."""

    name: str
    source: pa.NativeFile


@dataclass(frozen=True)
class Batch:
    """Rows in the contract's Arrow schema, their first row number, and rows that could not be typed."""

    rows: pa.Table
    first_row: int
    unreadable: tuple[Refusal, ...] = ()
    absent_columns: tuple[str, ...] = ()


@contextmanager
def opened(store: ObjectStore, stored: StoredObject) -> Iterator[LandingFile]:
    """The file, from exactly the bytes that were listed.

    Raises:
        LandingError: it is of an unknown format, cannot be read, or has changed since it was listed.
    """
    if not stored.name.endswith(FORMATS):
        raise LandingError(f"{stored.name}: unknown format, expected one of {', '.join(FORMATS)}")
    try:
        with store.open(stored) as source:
            yield LandingFile(stored.name, source)
    except ObjectStoreError as error:
        raise LandingError(f"{stored.name}: cannot be read: {error}") from error


def file_digest(file: LandingFile) -> bytes:
    """SHA-256 of the file's bytes, read in pieces from its beginning.

    Raises:
        LandingError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        file.source.seek(0)
        while piece := file.source.read(1 << 20):
            digest.update(piece)
    except OSError as error:
        raise LandingError(f"{file.name}: cannot be read: {error}") from error
    return digest.digest()


def read_batches(contract: type[LandingRow], file: LandingFile) -> Iterator[Batch]:
    """The file's rows, at most ``BATCH_ROWS`` at a time.

    Raises:
        LandingError: the file cannot be read, or its columns are not the contract's.
    """
    try:
        file.source.seek(0)
        if file.name.endswith(".parquet"):
            yield from _read_parquet(contract, file.name, file.source)
        else:
            yield from _read_text(contract, file.name, file.source)
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise LandingError(f"{file.name}: cannot be read: {' '.join(str(error).split())}") from error


def _read_parquet(contract: type[LandingRow], name: str, source: Any) -> Iterator[Batch]:
    parquet = pq.ParquetFile(source)
    absent = _check_columns(contract, name, parquet.schema_arrow.names)
    columns = {column.name: column for column in columns_of(contract)}
    for field in parquet.schema_arrow:
        _check_type(name, columns[field.name], field.type)
    first_row = 1
    schema = arrow_schema(contract)
    for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
        arrays = []
        for field in schema:
            if field.name in absent:
                arrays.append(pa.nulls(batch.num_rows, field.type))
                continue
            values = batch.column(field.name)
            try:
                # Timestamps may come finer than microseconds; everything else must fit exactly.
                arrays.append(values.cast(field.type, safe=not pa.types.is_timestamp(field.type)))
            except pa.ArrowInvalid as error:
                raise LandingError(f"{name}: column {field.name}: {error}") from error
        nullable = pa.schema([pa.field(f.name, f.type) for f in schema])
        yield Batch(pa.Table.from_arrays(arrays, schema=nullable), first_row, absent_columns=absent)
        first_row += batch.num_rows


def _check_columns(contract: type[LandingRow], name: str, present: list[str]) -> tuple[str, ...]:
    """Absent nullable columns; an unknown or an absent required column is the file's end."""
    columns = {column.name: column for column in columns_of(contract)}
    unknown = sorted(set(present) - set(columns))
    if unknown:
        raise LandingError(
            f"{name}: column {unknown[0]} is not in the contract of {contract.table} "
            f"(it has {', '.join(columns)})"
        )
    absent = tuple(column for column in columns if column not in present)
    required = [column for column in absent if not columns[column].nullable]
    if required:
        raise LandingError(f"{name}: required column {required[0]} is missing")
    return absent


def _check_type(name: str, column: Column, found: pa.DataType) -> None:
    wanted = column.arrow
    same = (
        found == wanted
        or pa.types.is_null(found)
        or (pa.types.is_string(wanted) and _is_text(found))
        or (pa.types.is_integer(wanted) and pa.types.is_integer(found))
        or (pa.types.is_decimal(wanted) and (pa.types.is_decimal(found) or pa.types.is_integer(found)))
        or (pa.types.is_timestamp(wanted) and pa.types.is_timestamp(found) and found.tz is not None)
    )
    if not same:
        raise LandingError(f"{name}: column {column.name} has type {found}, the contract says {wanted}")


def _is_text(found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        return bool(pa.types.is_string(found.value_type))
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))


def _read_text(contract: type[LandingRow], name: str, source: Any) -> Iterator[Batch]:
    """CSV and NDJSON carry no types: pydantic reads each row, and says which column it could not read."""
    text = io.TextIOWrapper(source, encoding="utf-8", newline="")
    absent: tuple[str, ...] = ()
    if name.endswith(".csv"):
        reader = csv.DictReader(text, strict=True)
        absent = _check_columns(contract, name, list(reader.fieldnames or []))
        numbered = ((n, dict(row), json.dumps(row)) for n, row in enumerate(reader, 1))
        yield from _typed(contract, name, numbered, absent)
    else:
        yield from _typed(contract, name, _json_lines(text), absent)


def _json_lines(text: io.TextIOWrapper) -> Iterator[tuple[int, Any, str]]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line), line.rstrip("\n")
        except json.JSONDecodeError as error:
            yield number, error, line.rstrip("\n")


def _typed(
    contract: type[LandingRow],
    name: str,
    numbered: Iterator[tuple[int, Any, str]],
    absent: tuple[str, ...],
) -> Iterator[Batch]:
    """Batches of consecutive readable rows: a refused row ends a batch, so that row numbers stay true."""
    rows: list[dict[str, Any]] = []
    refused: list[Refusal] = []
    first_row = 1
    last_row = 0
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])

    def batch() -> Batch:
        return Batch(pa.Table.from_pylist(rows, schema=schema), first_row, tuple(refused), absent)

    try:
        for number, row, payload in numbered:
            typed = _validated(contract, name, number, row, payload)
            if isinstance(typed, Refusal):
                refused.append(typed)
            if isinstance(typed, Refusal) or number != last_row + 1 or len(rows) >= BATCH_ROWS:
                yield batch()
                rows, refused, first_row = [], [], number + isinstance(typed, Refusal)
            if not isinstance(typed, Refusal):
                rows.append(typed)
            last_row = number
    except csv.Error as error:
        raise LandingError(f"{name}: row {last_row + 1}: {error}") from error
    yield batch()


def _validated(
    contract: type[LandingRow], name: str, number: int, row: Any, payload: str
) -> dict[str, Any] | Refusal:
    """The row in Python types, or the first column that pydantic refuses."""
    if isinstance(row, json.JSONDecodeError):
        return Refusal(name, number, "", f"is not JSON: {row}", payload)
    if not isinstance(row, dict):
        return Refusal(name, number, "", "is not a JSON object", payload)
    if name.endswith(".csv"):
        # csv.DictReader puts surplus values under the key None and fills up a short row with None.
        if None in row or None in row.values():
            return Refusal(name, number, "", "does not have the header's columns", payload)
        row = {column: value if value != "" else None for column, value in row.items()}
    try:
        return contract.model_validate(row).model_dump()
    except ValidationError as error:
        problems = error.errors(include_url=False)
        paths = [".".join(str(part) for part in problem["loc"]) for problem in problems]
        reason = "; ".join(
            f"{path} {problem['input']!r}: {problem['msg']}"
            for path, problem in zip(paths, problems, strict=True)
        )
        return Refusal(name, number, paths[0], reason, payload)
