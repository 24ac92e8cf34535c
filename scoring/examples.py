"""An outside table as what a model learns from and what it is judged by; mistakes by row and column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.model_selection import train_test_split

from scoring.columns import (
    Feature,
    Floats,
    Integers,
    Mask,
    days_of,
    encoded,
    feature_of,
    refuse_rows,
    texts_of,
    without_words_for_missing,
)
from scoring.leaks import events_only_of, leaks_of
from scoring.outside_map import LaterHoldout, OutsideMap, RandomHoldout
from segue.outside_file import Mistake, OutsideFileError, label

FEWEST: Final = 20
"""Of each outcome (and arm) in the rows to learn from, and in those held out."""
STOPPING_SHARE: Final = 0.2
_LEFT_OUT: Final = -1.0
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Examples:
    """Rows with features, outcomes and parts; ``is_treated`` is None where nothing was tried."""

    features: tuple[Feature, ...]
    matrix: Floats
    outcomes: Floats
    is_treated: Mask | None
    learning: Mask
    """Trees are grown on these."""
    stopping: Mask
    """Say when to stop, and what calibration is learned from."""
    held_out: Mask
    """No part of the model has seen these."""
    data_digest: str
    warnings: tuple[str, ...]
    weights: Floats | None = None
    """How many rows each stands for while it is learned from; held-out rows stand for themselves."""
    units: Integers | None = None
    """Rows of one account have one number; None: every row is of another."""

    @property
    def counts(self) -> dict[str, int]:
        """Rows by what they are for."""
        return {name: int(getattr(self, name).sum()) for name in ("learning", "stopping", "held_out")}


def examples_of(table: pa.Table, outside: OutsideMap, file: str) -> Examples:
    """The table by its map.

    Raises:
        OutsideFileError: names the rows and columns that cannot be read, a feature that gives the target
            away, and a part that has too few rows of an outcome.
    """
    _check_columns(table, outside, file)
    table = without_words_for_missing(table)
    _check_units(table, outside, file)
    outcomes = _outcomes(table, outside, file)
    arms = _treated(table, outside, file)
    days = days_of(table, outside.holdout.column, file) if isinstance(outside.holdout, LaterHoldout) else None
    is_treated = None
    if arms is not None:
        # Only now, so that mistakes have the file's own row numbers.
        kept = arms != _LEFT_OUT
        table, outcomes, is_treated = table.filter(pa.array(kept)), outcomes[kept], arms[kept] == 1
        days = None if days is None else days[kept]
    strata = outcomes if is_treated is None else outcomes + 2 * is_treated
    check_counts(outcomes, is_treated, np.ones(len(outcomes), bool), "the file", file)
    learning, stopping, held_out = _parts(outside, days, strata, file)
    for rows, words in ((learning | stopping, "the rows to learn from"), (held_out, "the held-out rows")):
        check_counts(outcomes, is_treated, rows, words, file)
    features, warnings = _features(table, outside, learning | stopping, file)
    matrix = encoded(table, features, file)
    warnings += _leak_warnings(features, matrix, outcomes, file)
    return Examples(
        features, matrix, outcomes, is_treated, learning, stopping, held_out,
        digest_of(matrix, outcomes, is_treated, held_out), tuple(warnings),
    )  # fmt: skip


def _check_columns(table: pa.Table, outside: OutsideMap, file: str) -> None:
    named = [
        *sorted(outside.no_features),
        *(outside.features.include or ()),
        *outside.features.exclude,
        *outside.monotone,
    ]
    for column in named:
        if column not in table.column_names:
            raise OutsideFileError(
                file,
                f"column {column} is in the map but not in the file (it has {', '.join(table.column_names)})",
            )


def _check_units(table: pa.Table, outside: OutsideMap, file: str) -> None:
    if outside.unit_column is None:
        return
    units = texts_of(table, outside.unit_column, file)
    refuse_rows(table, outside.unit_column, np.asarray(units.isna()), "is empty", file)
    refuse_rows(table, outside.unit_column, np.asarray(units.duplicated()), "{found} came before", file)


def _labels(table: pa.Table, column: str, file: str) -> pd.Series[str]:
    return texts_of(table, column, file).map(label, na_action="ignore").fillna("")


def _outcomes(table: pa.Table, outside: OutsideMap, file: str) -> Floats:
    column, positive = outside.target.column, outside.target.positive
    labels = _labels(table, column, file)
    refuse_rows(table, column, np.asarray(labels == ""), "is empty", file)
    found = list(dict.fromkeys(labels))
    if positive not in found:
        shown = ", ".join(found[:10])
        # YAML 1.1 reads Yes, No, On and Off as flags
        quotes = f"; {shown} in the map need quotes" if positive in ("true", "false") else ""
        raise OutsideFileError(
            file, f"column {column} has no {positive}, which is positive (it has {shown}){quotes}"
        )
    others = [each for each in found if each != positive]
    if not others:
        raise OutsideFileError(
            file, f"column {column} is {positive} in every row: there is nothing to tell apart"
        )
    if len(others) > 1:
        row = int(np.nonzero(labels == others[1])[0][0]) + 1
        message = f"{others[1]!r} is a third value, after {positive!r} and {others[0]!r}: a target has two"
        raise OutsideFileError(file, [Mistake(row, column, message)])
    return np.asarray(labels == positive, dtype=np.float64)


def _treated(table: pa.Table, outside: OutsideMap, file: str) -> Floats | None:
    """1 for treated, 0 for control, ``_LEFT_OUT``; None without a treatment."""
    if outside.treatment is None:
        return None
    column, control, treated = outside.treatment.column, outside.treatment.control, outside.treatment.treated
    labels = _labels(table, column, file)
    unknown = ~labels.isin([control, *treated, *outside.treatment.leave_out])
    message = f"{{found}} is neither control ({control}), treated ({', '.join(treated)}) nor in leave_out"
    refuse_rows(table, column, np.asarray(unknown), message, file)
    return np.select([labels.isin(treated), labels == control], [1.0, 0.0], _LEFT_OUT)


def check_counts(
    outcomes: Floats, is_treated: Mask | None, rows: Mask, words: str, file: str, needed: int = FEWEST
) -> None:
    """Refuse rows of which an arm has an outcome less often than ``needed``.

    Raises:
        OutsideFileError: names the arm and its counts.
    """
    arms = (
        {"": rows} if is_treated is None else {"treated ": rows & is_treated, "control ": rows & ~is_treated}
    )
    for arm, of_arm in arms.items():
        positive = int(outcomes[of_arm].sum())
        fewest = min(positive, int(of_arm.sum()) - positive)
        if fewest < needed:
            raise OutsideFileError(
                file,
                f"{words}: {int(of_arm.sum()):,} {arm}rows, {positive:,} of them positive; each outcome is "
                f"needed {needed} times at least",
            )


def _parts(outside: OutsideMap, days: Floats | None, strata: Floats, file: str) -> tuple[Mask, Mask, Mask]:
    """Rows to grow trees on, to stop by, and to judge by.

    Where the held-out rows are later ones, those to stop by are the latest before them: neither may be drawn
    from days that were learned from.
    """
    rows = np.arange(len(strata))
    if isinstance(outside.holdout, RandomHoldout):
        seed = outside.holdout.seed
        earlier, held = train_test_split(
            rows, test_size=outside.holdout.fraction, random_state=seed, stratify=strata
        )
        learned, stopped = train_test_split(
            earlier, test_size=STOPPING_SHARE, random_state=seed, stratify=strata[earlier]
        )
        return np.isin(rows, learned), np.isin(rows, stopped), np.isin(rows, held)
    assert days is not None, "later rows are told by their days"
    held_out = days >= outside.holdout.from_.toordinal() - _EPOCH
    if held_out.all() or not held_out.any():
        side = "before" if held_out.all() else "from"
        message = f"column {outside.holdout.column} has no row {side} {outside.holdout.from_}"
        raise OutsideFileError(file, message)
    if len(np.unique(days[~held_out])) == 1:
        message = f"column {outside.holdout.column} has a single time before {outside.holdout.from_}"
        raise OutsideFileError(file, message)
    earlier = days[~held_out]
    later = np.quantile(earlier, 1 - STOPPING_SHARE)
    stopping = ~held_out & (days >= later if later > earlier.min() else days > later)
    return ~held_out & ~stopping, stopping, held_out


def _features(
    table: pa.Table, outside: OutsideMap, learning: Mask, file: str
) -> tuple[tuple[Feature, ...], list[str]]:
    named = outside.features.include or table.column_names
    taken = set(outside.features.exclude) | outside.no_features
    if clash := set(outside.features.include or ()) & outside.no_features:
        raise OutsideFileError(
            file, f"column {min(clash)} has another part in the map and cannot be a feature"
        )
    names = [each for each in named if each not in taken]
    if not names:
        raise OutsideFileError(file, "the map leaves no column to predict from")
    found, warnings = [], []
    for name in names:
        feature, told = feature_of(table, name, learning, file)
        found.append(feature)
        warnings += told
    wrong = [each.name for each in found if each.kind == "category" and each.name in outside.monotone] + [
        name for name in outside.monotone if name not in names
    ]
    if wrong:
        raise OutsideFileError(file, f"monotone: column {wrong[0]} is no feature of numbers or days")
    return tuple(found), warnings


def _leak_warnings(
    features: tuple[Feature, ...], matrix: Floats, outcomes: Floats, file: str
) -> Iterator[str]:
    """Of features that tell the target too well.

    Raises:
        OutsideFileError: a feature, or whether it is there, tells every row's target.
    """
    leaks = leaks_of(features, matrix, outcomes)
    for leak in leaks:
        if leak.is_certain:
            message = (
                f"column {leak.feature} gives the target of every row away; exclude it, or what it leaks from"
            )
            raise OutsideFileError(file, message)
        yield f"column {leak.feature} alone has an AUC of {leak.auc:.4f}: was it known before the target?"
    told = {leak.feature for leak in leaks}
    for each in events_only_of(features, matrix, outcomes):
        if each.feature not in told:
            yield (
                f"column {each.feature} has values that only rows with the event have "
                f"({each.rows:,} of them): was it known before the target?"
            )


def digest_of(
    matrix: Floats,
    outcomes: Floats,
    is_treated: Mask | None,
    held_out: Mask,
    weights: Floats | None = None,
) -> str:
    """SHA-256 over everything that decides what is learned, in hex digits."""
    parts = [matrix, outcomes, held_out, *(each for each in (is_treated, weights) if each is not None)]
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{part.shape}{part.dtype}".encode())
        whole.update(np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()
