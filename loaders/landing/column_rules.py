"""What a column's type and constraints demand, as masks over Arrow arrays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.schema import Column

Violation = tuple[str, pa.Array, str]
"""Column, mask of the rows that break the rule, and the reason, which follows the cell's value; {row[name]}
stands for another cell of the row."""

_CALENDAR = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
"""What a TIMESTAMP, and a DATE of its days, can hold; a Parquet file can say more."""


def violations(column: Column, values: pa.ChunkedArray | pa.Array) -> Iterator[Violation]:
    """Every rule of the column, broken or not; where a mask is null the rule says nothing."""
    name = column.name

    def scalar(value: Any) -> pa.Scalar:
        return pa.scalar(value, column.arrow) if not isinstance(value, pa.Scalar) else value

    if not column.nullable:
        yield name, pc.is_null(values), "is null"
    if column.kind in (date, datetime):
        bounds = _CALENDAR if column.kind is datetime else [each.date() for each in _CALENDAR]
        first, last = map(scalar, bounds)
        mask = pc.or_(pc.less(values, first), pc.greater(values, last))
        yield name, mask, "is outside the calendar"
    if column.allowed:
        known = pc.is_in(values, value_set=pa.array(column.allowed, column.arrow))
        mask = pc.and_(pc.invert(known), pc.is_valid(values))
        yield name, mask, f"is not one of {', '.join(map(str, column.allowed))}"
    if column.pattern:
        mask = pc.invert(pc.match_substring_regex(values, column.pattern))
        yield name, mask, "does not match " + column.pattern.replace("{", "{{").replace("}", "}}")
    if column.kind is str and _holds_zero_bytes(values):
        yield name, pc.match_substring_regex(values, r"\x00"), "holds a NUL character"
    lengths = pc.utf8_length(values) if (column.min_length, column.max_length) != (None, None) else None
    if column.min_length is not None:
        mask = pc.less(lengths, column.min_length)
        yield name, mask, f"is shorter than {column.min_length}"
    if column.max_length is not None:
        mask = pc.greater(lengths, column.max_length)
        yield name, mask, f"is longer than {column.max_length}"
    if column.minimum is not None:
        yield (
            name,
            pc.less(values, scalar(_as(column, column.minimum))),
            f"is below {column.minimum}",
        )
    if column.above is not None:
        mask = pc.less_equal(values, scalar(_as(column, column.above)))
        yield name, mask, f"is not above {column.above}"
    if column.maximum is not None:
        mask = pc.greater(values, scalar(_as(column, column.maximum)))
        yield name, mask, f"is above {column.maximum}"
    if column.decimal_places is not None:
        mask = pc.not_equal(pc.round(values, ndigits=column.decimal_places), values)
        yield name, mask, f"has more than {column.decimal_places} decimal places"


def _holds_zero_bytes(values: pa.ChunkedArray | pa.Array) -> bool:
    """One look at the bytes is a hundredth of one at each text."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    buffers = [chunk.buffers()[-1] for chunk in chunks]
    return any(buffer is not None and not np.frombuffer(buffer, np.uint8).all() for buffer in buffers)


def _as(column: Column, bound: Any) -> Any:
    """A bound in the column's own type: amounts are bounded by integers in the contracts."""
    return Decimal(bound) if column.kind is Decimal else bound
