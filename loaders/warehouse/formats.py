"""Results of queries as files: CSV, JSON, NDJSON, Parquet.

Numbers keep their digits, and NUMERIC has no zeros at its end, as BigQuery writes it. Times are ISO 8601, a
TIMESTAMP's in UTC.
"""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
from google.cloud.bigquery.table import RowIterator

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def write(rows: RowIterator, form: str, out: BinaryIO, limit: int | None = None) -> int:
    """Write the first ``limit`` rows, or all, as csv, json, ndjson or parquet; returns how many there were.

    Rows are written as they come, page by page; Parquet holds them all until it is written.
    """
    return _WRITERS[form](rows, out, limit)


def records(rows: RowIterator, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The rows as dictionaries of plain values: what JSON shows."""
    for row in islice(rows, limit):
        yield {name: _plain(value) for name, value in row.items()}


def text(value: Any) -> str:
    """A value in a field of text; nothing for null, JSON for what has parts."""
    match _plain(value):
        case None:
            return ""
        case bool() as flag:
            return "true" if flag else "false"
        case str() as said:
            return said
        case Decimal() as number:
            return f"{number:f}"
        case list() | dict() as parts:
            return _ENCODER.encode(parts).decode()
        case other:
            return str(other)


def _write_csv(rows: RowIterator, out: BinaryIO, limit: int | None) -> int:
    """RFC 4180 with a header; null is an empty field."""
    # The stream is the caller's to close.
    stream = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in rows.schema])
    written = 0
    for row in islice(rows, limit):
        writer.writerow([text(value) for value in row.values()])
        written += 1
    stream.detach()
    return written


def _write_json(rows: RowIterator, out: BinaryIO, limit: int | None) -> int:
    """One array, an object a row."""
    written = 0
    out.write(b"[")
    for record in records(rows, limit):
        out.write((b",\n" if written else b"\n") + _ENCODER.encode(record))
        written += 1
    out.write(b"\n]\n" if written else b"]\n")
    return written


def _write_ndjson(rows: RowIterator, out: BinaryIO, limit: int | None) -> int:
    """An object a line."""
    written = 0
    for record in records(rows, limit):
        out.write(_ENCODER.encode(record) + b"\n")
        written += 1
    return written


def _write_parquet(rows: RowIterator, out: BinaryIO, limit: int | None) -> int:
    """One file with BigQuery's types, of rows whole in memory."""
    import pyarrow.parquet as parquet

    table = rows.to_arrow(create_bqstorage_client=False)
    if limit is not None:
        table = table.slice(0, limit)
    parquet.write_table(table.replace_schema_metadata(None), pa.PythonFile(out))
    return int(table.num_rows)


_WRITERS: Mapping[str, Callable[[RowIterator, BinaryIO, int | None], int]] = {
    "csv": _write_csv,
    "json": _write_json,
    "ndjson": _write_ndjson,
    "parquet": _write_parquet,
}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return Decimal(f"{value.normalize():f}")
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return b64encode(value).decode()
        case list() | tuple():
            return [_plain(each) for each in value]
        case dict():
            return {name: _plain(each) for name, each in value.items()}
    return value
