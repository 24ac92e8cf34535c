"""Reading Parquet: columns in the contract's types; a value that does not fit refuses its row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.arrays import Mask
from loaders.landing.batch import Batch
from loaders.landing.errors import LandingError, Refusal
from loaders.landing.header import check_columns, normal_names
from loaders.landing.row import LandingRow
from loaders.landing.schema import Column, arrow_schema, columns_of

BATCH_ROWS = 100_000
PAYLOAD_BATCH_ROWS = 20_000
"""Of a table with JSON: a payload is several kilobytes where a row of columns is a hundred bytes."""

_ZONELESS: Final = (
    "; it has no time zone: write instants in UTC (in Spark "
    "spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS, in pandas tz_localize('UTC'))"
)
_INEXACT: Final = "; floating point is not exact: write DECIMAL, or deliver text"


def read_parquet(contract: type[LandingRow], name: str, source: Any) -> Iterator[Batch]:
    """Batches of the file's rows.

    Raises:
        LandingError: its columns are not the contract's.
        OSError, pa.ArrowException: it cannot be read.
    """
    parquet = pq.ParquetFile(source)
    present = normal_names(name, parquet.schema_arrow.names)
    absent = check_columns(contract, name, present)
    columns = {column.name: column for column in columns_of(contract)}
    for found, field in zip(present, parquet.schema_arrow, strict=True):
        _check_type(name, columns[found], field.type)
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
    places = {found: place for place, found in enumerate(present)}
    has_payloads = any(column.json for column in columns.values())
    first_row = 1
    for batch in parquet.iter_batches(batch_size=PAYLOAD_BATCH_ROWS if has_payloads else BATCH_ROWS):
        arrays: list[pa.Array] = []
        unfit: list[tuple[str, Mask, str]] = []
        for column in columns_of(contract):
            if column.name in absent:
                arrays.append(pa.nulls(batch.num_rows, column.arrow))
                continue
            values, bad = _typed(batch.column(places[column.name]), column)
            arrays.append(values)
            if bad is not None:
                unfit.append((column.name, bad, f"{column.name} {_why(column)}"))
        rows = pa.Table.from_arrays(arrays, schema=schema)
        numbers = pa.array(np.arange(first_row, first_row + batch.num_rows))
        first_row += batch.num_rows
        if not unfit:
            yield Batch(rows, numbers, absent_columns=absent)
            continue
        refused = tuple(_refusals(name, present, batch, numbers, unfit))
        stays = pa.array(~np.logical_or.reduce([bad for _, bad, _ in unfit]))
        yield Batch(rows.filter(stays), numbers.filter(stays), refused, absent)


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
        way_out = ""
        if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(found):
            way_out = _ZONELESS
        elif pa.types.is_decimal(wanted) and pa.types.is_floating(found):
            way_out = _INEXACT
        raise LandingError(
            f"{name}: column {column.name} has type {str(found)[:100]}, the contract says {wanted}{way_out}"
        )


def _is_text(found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        return _is_text(found.value_type)
    return bool(
        pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    )


def _typed(values: pa.Array, column: Column) -> tuple[pa.Array, Mask | None]:
    """The values in the column's type, and a mask of those that do not fit, which are null; None: all do."""
    # Times may come finer than microseconds; everything else must fit exactly.
    is_finer = pa.types.is_timestamp(values.type) and values.type.unit == "ns"
    try:
        typed = values.cast(column.arrow, safe=not is_finer)
        if column.kind is str:
            # Nobody has looked at the bytes yet.
            typed.validate(full=True)
        return typed, None
    except pa.ArrowInvalid:
        pass
    fitting = [_fitting(value, column) for value in values]
    bad = np.array([fit is None and value.is_valid for fit, value in zip(fitting, values, strict=True)], bool)
    nothing = pa.scalar(None, column.arrow)
    return pa.array([nothing if fit is None else fit for fit in fitting], column.arrow), bad


def _fitting(value: pa.Scalar, column: Column) -> pa.Scalar | None:
    """The value in the column's type; None when it is null, or does not fit."""
    if not value.is_valid:
        return None
    try:
        if column.kind is str:
            return pa.scalar(value.as_py(), column.arrow)
        return value.cast(column.arrow)
    except (pa.ArrowInvalid, UnicodeDecodeError, UnicodeEncodeError):
        return None


def _why(column: Column) -> str:
    if column.kind is str:
        return "is not UTF-8"
    if pa.types.is_decimal(column.arrow):
        return f"has more than {column.arrow.scale} decimal places, or more digits than fit"
    return "is outside the calendar" if pa.types.is_timestamp(column.arrow) else "does not fit into 64 bits"


def _refusals(
    name: str,
    present: list[str],
    batch: pa.RecordBatch,
    numbers: pa.Array,
    unfit: list[tuple[str, Mask, str]],
) -> Iterator[Refusal]:
    for place in np.nonzero(np.logical_or.reduce([bad for _, bad, _ in unfit]))[0].tolist():
        hits = [(column, reason) for column, bad, reason in unfit if bad[place]]
        row = {found: _cell(batch.column(at)[place]) for at, found in enumerate(present)}
        yield Refusal(
            name,
            numbers[place].as_py(),
            hits[0][0],
            "; ".join(reason for _, reason in hits),
            json.dumps(row, default=str, ensure_ascii=False),
        )


def _cell(value: pa.Scalar) -> Any:
    """As JSON can show it; what Python cannot hold as its number, or as the bytes that it is."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return str(value.cast(pa.binary()).as_py())
    except (ValueError, OverflowError):
        return value.cast(pa.int64()).as_py()
