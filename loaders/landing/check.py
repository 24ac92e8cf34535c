"""Holding rows to their contract, a column at a time in Arrow: no Python per row but for the refused ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.errors import Refusal
from loaders.landing.row import LandingRow, NotAfterArrival, NotBefore, RequiredWhen
from loaders.landing.schema import Column, columns_of

Violation = tuple[str, pa.Array, str]
"""Column, mask of the rows that break the rule, and the reason, in which {value} stands for the cell."""

Problems = dict[int, list[tuple[str, str]]]
"""Path and reason of everything that is wrong inside the JSON columns, by the row's place."""

_CALENDAR = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
"""What a TIMESTAMP can hold; a Parquet file can say more."""


def split(
    contract: type[LandingRow], rows: pa.Table, arrival_date: date, file: str, first_row: int
) -> tuple[pa.Table, list[Refusal]]:
    """Separate the rows that keep the contract from those that break it.

    ``rows`` has the contract's Arrow schema; ``first_row`` is the file's row number (from 1) of its first
    row. Accepted rows come back with the lineage columns; every other row is one refusal that names its first
    broken column and all reasons.
    """
    rows = rows.combine_chunks()
    numbers = pa.array(range(first_row, first_row + rows.num_rows), pa.int64())
    rows = (
        rows.append_column("arrival_date", pa.repeat(pa.scalar(arrival_date), rows.num_rows))
        .append_column("landing_file", pa.repeat(pa.scalar(file), rows.num_rows))
        .append_column("landing_row", numbers)
    )
    broken = pa.repeat(pa.scalar(False), rows.num_rows)
    found: list[Violation] = []
    for column, mask, reason in _violations(contract, rows, arrival_date):
        mask = pc.fill_null(mask, False)
        if pc.any(mask).as_py():
            found.append((column, mask, reason))
            broken = pc.or_(broken, mask)
    problems = _problems(contract, rows)
    if problems:
        broken = pc.or_(broken, pa.array([place in problems for place in range(rows.num_rows)]))
    if not found and not problems:
        return rows, []
    return rows.filter(pc.invert(broken)), list(_refusals(rows, broken, found, problems, file))


def _refusals(
    rows: pa.Table, broken: pa.Array, found: list[Violation], problems: Problems, file: str
) -> Iterator[Refusal]:
    masks = [(column, mask.filter(broken).to_pylist(), reason) for column, mask, reason in found]
    places = pc.indices_nonzero(broken).to_pylist()
    for index, row in enumerate(_cells(rows.filter(broken))):
        hits = [
            (column, f"{column} {reason.format(value=row[column])}")
            for column, mask, reason in masks
            if mask[index]
        ]
        hits += problems.get(places[index], [])
        number = row.pop("landing_row")
        del row["landing_file"], row["arrival_date"]
        yield Refusal(
            file=file,
            row=number,
            column=hits[0][0],
            reason="; ".join(reason for _, reason in hits),
            payload=json.dumps(row, default=str, ensure_ascii=False),
        )


def _cells(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as a person would write them: Python's calendar ends in 9999; final zeros say nothing."""
    columns = {}
    for field in rows.schema:
        try:
            cells = rows.column(field.name).to_pylist()
        except (ValueError, OverflowError):
            cells = rows.column(field.name).cast(pa.int64()).to_pylist()
        columns[field.name] = [
            Decimal(f"{cell.normalize():f}") if isinstance(cell, Decimal) else cell for cell in cells
        ]
    for index in range(rows.num_rows):
        yield {name: cells[index] for name, cells in columns.items()}


def _violations(contract: type[LandingRow], rows: pa.Table, arrival_date: date) -> Iterator[Violation]:
    for column in columns_of(contract):
        yield from _column_violations(column, rows.column(column.name))
    arrived_on = pc.cast(rows.column("ingested_at"), pa.date32())
    other_day = pc.not_equal(arrived_on, pa.scalar(arrival_date))
    yield "ingested_at", other_day, "{value} is not on the arrival day " + str(arrival_date)
    for rule in contract.rules:
        if isinstance(rule, NotBefore):
            mask = pc.less(rows.column(rule.column), rows.column(rule.other))
            yield rule.column, mask, f"{{value}} is before {rule.other}"
        elif isinstance(rule, NotAfterArrival):
            latest = pc.add(
                rows.column("ingested_at"),
                pa.scalar(timedelta(hours=rule.tolerance_hours), pa.duration("us")),
            )
            mask = pc.greater(rows.column(rule.column), latest)
            reason = f"{{value}} is more than {rule.tolerance_hours} h after its arrival"
            yield rule.column, mask, reason


def _problems(contract: type[LandingRow], rows: pa.Table) -> Problems:
    """What the JSON columns say wrong: the only check that takes a row at a time, as each is an object."""
    found: Problems = {}
    for column in columns_of(contract):
        if column.json is None:
            continue
        for place, text in enumerate(rows.column(column.name).to_pylist()):
            if text is not None and (wrong := list(column.json.problems(column.name, text))):
                found.setdefault(place, []).extend(wrong)
    for rule in contract.rules:
        if isinstance(rule, RequiredWhen):
            json_of = next(column.json for column in columns_of(contract) if column.name == rule.payload)
            reason = f"{rule.column} is null though {rule.payload} {rule.says.replace('_', ' ')}"
            for place in pc.indices_nonzero(pc.is_null(rows.column(rule.column))).to_pylist():
                text = rows.column(rule.payload)[place].as_py()
                if json_of and text and place not in found and getattr(json_of.parse(text), rule.says):
                    found[place] = [(rule.column, reason)]
    return found


def _column_violations(column: Column, values: pa.ChunkedArray) -> Iterator[Violation]:
    name = column.name

    def scalar(value: Any) -> pa.Scalar:
        return pa.scalar(value, column.arrow) if not isinstance(value, pa.Scalar) else value

    if not column.nullable:
        yield name, pc.is_null(values), "is null"
    if column.kind is datetime:
        first, last = scalar(_CALENDAR[0]), scalar(_CALENDAR[1])
        mask = pc.or_(pc.less(values, first), pc.greater(values, last))
        yield name, mask, "{value} is outside the calendar"
    if column.allowed:
        known = pc.is_in(values, value_set=pa.array(column.allowed, pa.string()))
        mask = pc.and_(pc.invert(known), pc.is_valid(values))
        yield name, mask, f"'{{value}}' is not one of {', '.join(column.allowed)}"
    if column.pattern:
        mask = pc.invert(pc.match_substring_regex(values, column.pattern))
        yield name, mask, "'{value}' does not match " + column.pattern.replace("{", "{{").replace("}", "}}")
    if column.min_length is not None:
        mask = pc.less(pc.utf8_length(values), column.min_length)
        yield name, mask, f"'{{value}}' is shorter than {column.min_length}"
    if column.max_length is not None:
        mask = pc.greater(pc.utf8_length(values), column.max_length)
        yield name, mask, f"is longer than {column.max_length}"
    if column.minimum is not None:
        yield (
            name,
            pc.less(values, scalar(_as(column, column.minimum))),
            f"{{value}} is below {column.minimum}",
        )
    if column.above is not None:
        mask = pc.less_equal(values, scalar(_as(column, column.above)))
        yield name, mask, f"{{value}} is not above {column.above}"
    if column.maximum is not None:
        mask = pc.greater(values, scalar(_as(column, column.maximum)))
        yield name, mask, f"{{value}} is above {column.maximum}"
    if column.decimal_places is not None:
        mask = pc.not_equal(pc.round(values, ndigits=column.decimal_places), values)
        yield name, mask, f"{{value}} has more than {column.decimal_places} decimal places"


def _as(column: Column, bound: Any) -> Any:
    """A bound in the column's own type: amounts are bounded by integers in the contracts."""
    return Decimal(bound) if column.kind is Decimal else bound
