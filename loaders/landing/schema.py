"""A contract, read once: its columns with types and constraints, as Arrow and as BigQuery understand them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa
from google.cloud import bigquery
from pydantic import AwareDatetime

from loaders.landing.annotations import unfold
from loaders.landing.notifications.payload import JsonOf
from loaders.landing.row import LandingRow

LINEAGE = pa.schema(
    [
        pa.field("arrival_date", pa.date32(), nullable=False),
        pa.field("landing_file", pa.string(), nullable=False),
        pa.field("landing_row", pa.int64(), nullable=False),
    ]
)
"""Columns that landing adds to every raw row: the folder's day, the file, the row in it from 1."""

_ARROW: dict[type, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    Decimal: pa.decimal128(38, 9),
    date: pa.date32(),
    datetime: pa.timestamp("us", tz="UTC"),
}
_BIGQUERY: dict[type, str] = {
    str: "STRING",
    bool: "BOOL",
    int: "INT64",
    Decimal: "NUMERIC",
    date: "DATE",
    datetime: "TIMESTAMP",
}


@dataclass(frozen=True)
class Column:
    """One column of a contract; bounds and lengths are inclusive where not said otherwise."""

    name: str
    kind: type = str
    nullable: bool = False
    allowed: tuple[Any, ...] = ()
    minimum: Any = None
    above: Any = None
    maximum: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    decimal_places: int | None = None
    json: JsonOf | None = None
    arrow: pa.DataType = field(default_factory=pa.string)


@cache
def columns_of(contract: type[LandingRow]) -> tuple[Column, ...]:
    """The contract's columns in declared order, ``ingested_at`` last.

    Raises:
        TypeError: an annotation that landing has no column type for.
    """
    hints = get_type_hints(contract, include_extras=True)
    names = [name for name in contract.model_fields if name != "ingested_at"] + ["ingested_at"]
    return tuple(_column(name, hints[name]) for name in names)


def _column(name: str, annotation: Any) -> Column:
    column = Column(name)
    for part in unfold(annotation):
        column = _refine(column, part)
    if column.kind not in _ARROW:
        raise TypeError(f"{name}: no column type for {column.kind}")
    if column.kind is Decimal and (column.decimal_places or 0) > _ARROW[Decimal].scale:
        return replace(column, arrow=pa.decimal128(38, column.decimal_places))
    return replace(column, arrow=_ARROW[column.kind])


_CONSTRAINTS = {
    "ge": "minimum",
    "gt": "above",
    "le": "maximum",
    "min_length": "min_length",
    "max_length": "max_length",
    "pattern": "pattern",
    "decimal_places": "decimal_places",
}


def _refine(column: Column, part: Any) -> Column:
    if part is type(None):
        return replace(column, nullable=True)
    if get_origin(part) is Literal:
        return replace(column, kind=str, allowed=get_args(part))
    if isinstance(part, JsonOf):
        return replace(column, json=part)
    if part is AwareDatetime:
        return replace(column, kind=datetime)
    if isinstance(part, type) and part in _ARROW:
        return replace(column, kind=part)
    found = {
        ours: getattr(part, theirs)
        for theirs, ours in _CONSTRAINTS.items()
        if getattr(part, theirs, None) is not None
    }
    return replace(column, **found)


@cache
def arrow_schema(contract: type[LandingRow]) -> pa.Schema:
    """The contract's columns in Arrow types."""
    return pa.schema([pa.field(c.name, c.arrow, nullable=c.nullable) for c in columns_of(contract)])


@cache
def raw_arrow_schema(contract: type[LandingRow]) -> pa.Schema:
    """What is written for the load job: the contract's columns and the lineage."""
    return pa.schema([*arrow_schema(contract), *LINEAGE])


def _bigquery_type(column: Column) -> str:
    if column.json:
        return "JSON"
    # NUMERIC has nine decimal places.
    is_fine = column.kind is Decimal and column.arrow.scale > _ARROW[Decimal].scale
    return "BIGNUMERIC" if is_fine else _BIGQUERY[column.kind]


@cache
def bigquery_schema(contract: type[LandingRow]) -> tuple[bigquery.SchemaField, ...]:
    """The raw table's columns. Nullability is the contract's business, so that a contract may be relaxed."""
    fields = [
        bigquery.SchemaField(
            column.name,
            _bigquery_type(column),
            precision=38 if _bigquery_type(column) == "NUMERIC" else None,
            scale=9 if _bigquery_type(column) == "NUMERIC" else None,
        )
        for column in columns_of(contract)
    ]
    return (
        *fields,
        bigquery.SchemaField("arrival_date", "DATE", description="Day of the landing folder."),
        bigquery.SchemaField("landing_file", "STRING", description="File below the landing root."),
        bigquery.SchemaField("landing_row", "INT64", description="Row in the file, from 1."),
    )
