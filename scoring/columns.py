"""Columns of a table as a matrix of numbers: what is a number, a day or a category, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from segue.outside_file import Mistake, OutsideFileError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Kind = Literal["number", "day", "category"]

MOST_CATEGORIES: Final = 255
"""LightGBM's own default of bins; the rarer ones of a column with more count as missing."""
_MISSING: Final = pa.array(["", "na", "n/a", "nan", "null", "?"])
"""How outside files write that there is no value, in whatever case."""
_DAY: Final = r"\d{4}-\d{2}-\d{2}.*"
_SECONDS_A_DAY: Final = 86_400.0


class Feature(BaseModel):
    """A column that a model predicts from, as it was when the model learned."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    """In the order of their codes from 0; what is not among them is missing."""


def without_words_for_missing(table: pa.Table) -> pa.Table:
    """An outside file's table with nulls for what people write where they have no value.

    Our own tables have nulls, and NA there is Namibia.
    """
    for place, field in enumerate(table.schema):
        cells = table.column(place)
        if pa.types.is_dictionary(field.type):
            cells = cells.cast(field.type.value_type)
        if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
            words = pc.utf8_lower(pc.utf8_trim_whitespace(cells)).cast(pa.string())
            nothing = pa.scalar(None, cells.type)
            table = table.set_column(place, field.name, pc.if_else(pc.is_in(words, _MISSING), nothing, cells))
    return table


def feature_of(table: pa.Table, name: str, learning: Mask, file: str) -> tuple[Feature, list[str]]:
    """The column's kind, by all its rows, and its categories, by those that are learned from; warnings.

    Raises:
        OutsideFileError: it holds lists, structs or something else that is no number, day or text.
    """
    cells = _plain(table, name, file)
    if not pa.types.is_string(cells.type):
        return Feature(name=name, kind="day" if pa.types.is_temporal(cells.type) else "number"), []
    texts = _texts(cells)
    known = texts.dropna()
    numbers = _numbers(known)
    if numbers.notna().all():
        return Feature(name=name, kind="number"), []
    if known.str.fullmatch(_DAY).all() and _seconds(known).notna().all():
        return Feature(name=name, kind="day"), []
    warnings = []
    no_numbers = known[numbers.isna()]
    if len(no_numbers) < 0.05 * len(known):
        warnings.append(
            f"column {name}: {len(no_numbers):,} of {len(known):,} values are no numbers (row "
            f"{no_numbers.index[0] + 1}: {no_numbers.iloc[0]!r}), so all of them are categories"
        )
    feature, told = category_of(table, name, learning, file)
    return feature, warnings + told


def category_of(table: pa.Table, name: str, learning: Mask, file: str) -> tuple[Feature, list[str]]:
    """The column as one of categories, those of the rows that are learned from; warnings.

    Raises:
        OutsideFileError: it holds lists, structs or something else that is no number, day or text.
    """
    counts = texts_of(table, name, file)[learning].value_counts()
    warnings = []
    if len(counts) > MOST_CATEGORIES:
        warnings.append(
            f"column {name} has {len(counts):,} categories: the {MOST_CATEGORIES} most frequent are kept, "
            "the rest counts as missing; exclude it if it is a name or an id"
        )
    # By frequency, and by name among equals, so that the rows' order decides nothing.
    ordered = sorted(counts.items(), key=lambda each: (-each[1], str(each[0])))[:MOST_CATEGORIES]
    return Feature(name=name, kind="category", categories=tuple(sorted(str(k) for k, _ in ordered))), warnings


def encoded(table: pa.Table, features: Sequence[Feature], file: str) -> Floats:
    """One column a feature: numbers, days since 1970-01-01 UTC, codes of categories; NaN where missing.

    Raises:
        OutsideFileError: a column is not there, or has something that its kind cannot be.
    """
    absent = [each.name for each in features if each.name not in table.column_names]
    if absent:
        raise OutsideFileError(file, f"column {absent[0]} is not there")
    return np.column_stack([_encoded(table, each, file) for each in features])


def days_of(table: pa.Table, name: str, file: str) -> Floats:
    """A column of days or timestamps as days since 1970-01-01 UTC.

    Raises:
        OutsideFileError: names the rows where there is no day.
    """
    days = _encoded(table, Feature(name=name, kind="day"), file)
    refuse_rows(table, name, np.isnan(days), "{found} is no day", file)
    return days


def texts_of(table: pa.Table, name: str, file: str) -> pd.Series[Any]:
    """The column as texts without surrounding white space; None where it is null."""
    return _texts(_plain(table, name, file).cast(pa.string()))


def refuse_rows(table: pa.Table, name: str, wrong: Mask, message: str, file: str) -> None:
    """Raise what is wrong with some rows of a column; ``{found}`` in the message is the cell.

    Raises:
        OutsideFileError: a row is wrong.
    """
    places = np.nonzero(wrong)[0][:20].tolist()
    if places:
        found = table.column(name).take(pa.array(places)).to_pylist()
        raise OutsideFileError(
            file,
            [
                Mistake(place + 1, name, message.format(found=repr(value)))
                for place, value in zip(places, found, strict=True)
            ],
        )


def _plain(table: pa.Table, name: str, file: str) -> pa.Array:
    """The column as floats, times or texts.

    Raises:
        OutsideFileError: it is none of them.
    """
    cells = table.column(name).combine_chunks()
    kind = cells.type
    if pa.types.is_dictionary(kind):
        cells = cells.cast(kind.value_type)
        kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cells.cast(pa.string())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return cells
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        return cells
    if pa.types.is_floating(kind):
        return cells
    if pa.types.is_null(kind):
        return cells.cast(pa.string())
    raise OutsideFileError(file, f"column {name} is of {kind}: neither numbers, days nor texts; exclude it")


def _texts(cells: pa.Array) -> pd.Series[Any]:
    texts: pd.Series[Any] = cells.to_pandas().astype(object).str.strip()
    return texts.where(texts.notna(), None)


def _numbers(texts: pd.Series[Any]) -> pd.Series[Any]:
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    finite: pd.Series[Any] = numbers.where(np.isfinite(numbers))
    return finite


def _seconds(texts: pd.Series[Any]) -> pd.Series[Any]:
    times = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    seconds: pd.Series[Any] = (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return seconds


def _encoded(table: pa.Table, feature: Feature, file: str) -> Floats:
    cells = _plain(table, feature.name, file)
    if feature.kind == "category":
        codes = {name: float(code) for code, name in enumerate(feature.categories)}
        # A text that comes a million times is looked at once.
        told = cells.cast(pa.string()).dictionary_encode()
        coded = _texts(told.dictionary).map(codes).to_numpy(dtype=np.float64, na_value=np.nan)
        places = told.indices.fill_null(len(coded)).to_numpy(zero_copy_only=False)
        return np.asarray(np.append(coded, np.nan)[places], dtype=np.float64)
    if pa.types.is_temporal(cells.type) and feature.kind == "day":
        seconds = cells.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64(), safe=False)
        return np.asarray(seconds.to_numpy(zero_copy_only=False) / 1e6 / _SECONDS_A_DAY)
    if not pa.types.is_string(cells.type):
        if feature.kind == "day":
            return np.full(len(cells), np.nan)
        values = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.where(np.isfinite(values), values, np.nan)
    texts = _texts(cells)
    found = _numbers(texts) if feature.kind == "number" else _seconds(texts) / _SECONDS_A_DAY
    refuse_rows(
        table,
        feature.name,
        np.asarray(found.isna() & texts.notna()),
        f"{{found}} is no {feature.kind}",
        file,
    )
    return found.to_numpy(dtype=np.float64)
