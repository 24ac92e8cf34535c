"""Landing files: reading them in bounded batches, whatever their format."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.batch import Batch
from loaders.landing.errors import LandingError
from loaders.landing.kinds import sort_out
from loaders.landing.row import LandingRow
from loaders.landing.schema import Column, arrow_schema, columns_of
from loaders.landing.text_rows import read_csv, read_json_lines
from loaders.objects.store import ObjectStore, ObjectStoreError, StoredObject

BATCH_ROWS = 100_000
PAYLOAD_BATCH_ROWS = 20_000
"""Of a table with JSON: a payload is several kilobytes where a row of columns is a hundred bytes."""
FORMATS = (".parquet", ".ndjson", ".csv")


@dataclass(frozen=True)
class LandingFile:
    """One file of a table's arrival day, open for reading; ``name`` is its path below the landing root."""

    name: str
    source: pa.NativeFile


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
    """The file's rows, at most ``BATCH_ROWS`` at a time, without those whose kind is ignored.

    Raises:
        LandingError: the file cannot be read, or its columns are not the contract's.
    """
    try:
        file.source.seek(0)
        read = _read_parquet if file.name.endswith(".parquet") else _read_text
        for batch in read(contract, file.name, file.source):
            yield sort_out(contract.message_kind, batch)
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
    has_payloads = any(column.json for column in columns.values())
    for batch in parquet.iter_batches(batch_size=PAYLOAD_BATCH_ROWS if has_payloads else BATCH_ROWS):
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
        numbers = pa.array(np.arange(first_row, first_row + batch.num_rows))
        yield Batch(pa.Table.from_arrays(arrays, schema=nullable), numbers, absent_columns=absent)
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
    text = io.TextIOWrapper(source, encoding="utf-8", newline="")
    if not name.endswith(".csv"):
        yield from read_json_lines(contract, name, text)
        return
    reader = csv.reader(text, strict=True)
    header = next(reader, [])
    absent = _check_columns(contract, name, header)
    yield from read_csv(contract, name, reader, header, absent)
