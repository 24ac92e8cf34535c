"""Values of CSV and NDJSON as typed columns: what pydantic would surely read the same way, and what is doubt.

A contract's model reads numbers, flags and times from many spellings. The usual ones are read here a column
at a time; every other value is null in its column and marked, and its row is left to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.arrays import Mask, as_mask
from loaders.landing.errors import is_utf8
from loaders.landing.instants import CALENDAR_DAY, TIME_OF_DAY
from loaders.landing.schema import Column

_USUAL: Final[dict[type, str]] = {
    int: r"^(?:0|-?[1-9][0-9]{0,17})$",
    # Every price, in any currency; what has more digits than a contract allows breaks its bounds anyway.
    Decimal: r"^(?:0|-?[1-9][0-9]{0,9}|-?0)(?:\.[0-9]{1,PLACES})?$",
    date: rf"^{CALENDAR_DAY}$",
    datetime: rf"^{CALENDAR_DAY}[T ]{TIME_OF_DAY}(?:\.[0-9]{{1,6}})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])$",
}
_TRUE: Final = ("true", "True", "TRUE", "1")
_FALSE: Final = ("false", "False", "FALSE", "0")

_OF_JSON: Final[dict[type, frozenset[type]]] = {
    str: frozenset({str, bytes}),
    bool: frozenset({bool}),
    int: frozenset({int}),
    Decimal: frozenset({int, float, str}),
    date: frozenset({str}),
    datetime: frozenset({str}),
}
"""The types that a value may have in JSON to be read without a doubt; bytes are a payload's text in UTF-8."""


def column_of_json(column: Column, values: Sequence[Any]) -> tuple[pa.Array, Mask]:
    """Values as Python's JSON reader gives them, in the column's type, and a mask of the doubtful ones."""
    usual = _OF_JSON[column.kind] | {type(None)}
    doubtful = np.zeros(len(values), bool)
    if not set(map(type, values)) <= usual:
        doubtful = np.array([type(value) not in usual for value in values])
        values = [None if doubt else value for value, doubt in zip(values, doubtful, strict=True)]
    if column.kind is Decimal:
        values = [value if value is None or type(value) is str else repr(value) for value in values]
    stored = column.arrow if column.kind in (bool, int) else pa.string()
    try:
        array = pa.array(values, stored)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        unfit = np.array([not _fits(value) for value in values])
        doubtful |= unfit
        values = [None if doubt else value for value, doubt in zip(values, unfit, strict=True)]
        array = pa.array(values, stored)
    if column.kind in (bool, int):
        return array, doubtful
    typed, unusual = column_of_text(column, array)
    return typed, doubtful | unusual


def _fits(value: str | bytes | int | None) -> bool:
    """Whether Arrow can hold it: not a number beyond 64 bits, nor half a surrogate pair."""
    if isinstance(value, str):
        return is_utf8(value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def texts_of(cells: Sequence[str]) -> tuple[pa.Array, Mask]:
    """Cells of CSV, an empty one as null, and a mask of those that are no UTF-8, which are null too."""
    unfit = np.zeros(len(cells), bool)
    try:
        texts = pa.array(cells, pa.string())
    except UnicodeEncodeError:
        unfit = np.array([not is_utf8(cell) for cell in cells])
        texts = pa.array(["" if bad else cell for cell, bad in zip(cells, unfit, strict=True)], pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts), unfit


def column_of_text(column: Column, texts: pa.Array) -> tuple[pa.Array, Mask]:
    """Texts (null: no value) in the column's type, and a mask of the doubtful ones."""
    if column.kind is str:
        return texts, np.zeros(len(texts), bool)
    if column.kind is bool:
        is_true = pc.is_in(texts, value_set=pa.array(_TRUE))
        usual = pc.or_(is_true, pc.is_in(texts, value_set=pa.array(_FALSE)))
        return pc.if_else(usual, is_true, None), as_mask(pc.and_(pc.invert(usual), pc.is_valid(texts)))
    pattern = _USUAL[column.kind]
    if column.kind is Decimal:
        pattern = pattern.replace("PLACES", str(column.arrow.scale))
    usual = pc.match_substring_regex(texts, pattern)
    doubtful = as_mask(pc.invert(usual))
    if doubtful.any():
        texts = pc.if_else(usual, texts, None)
    return texts.cast(column.arrow), doubtful
