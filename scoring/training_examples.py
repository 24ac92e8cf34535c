"""What a declared model learns from: its rows of ``int_training_examples``."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scoring.columns import Feature, Integers, Mask, category_of, encoded
from scoring.declaration import ModelDeclaration, kind_of
from scoring.examples import FEWEST, STOPPING_SHARE, Examples, check_counts, digest_of
from segments.features import FEATURES, FeatureName
from segue.outside_file import OutsideFileError

DAY: Final = "feature_date"
ACCOUNT: Final = "account_id"
"""Together the key of a model's examples."""
_FEWEST_TO_STOP: Final = 5
"""Of each outcome and arm; without any there is nothing to stop by, or to calibrate."""


def in_order(table: pa.Table) -> pa.Table:
    """The rows by day and account: in which order they were read decides nothing."""
    return table.sort_by([(DAY, "ascending"), (ACCOUNT, "ascending")])


def as_learned(table: pa.Table) -> pa.Table:
    """The table with its features as models know them: of a date the days from it to the feature day."""
    for place, field in enumerate(table.schema):
        if FEATURES.get(field.name) == "date" and pa.types.is_date(field.type):
            days = pc.days_between(table.column(field.name), table.column(DAY))
            table = table.set_column(place, field.name, days)
    return table


def training_examples_of(table: pa.Table, model: ModelDeclaration) -> Examples:
    """The examples of a model as its declaration has them; ``table`` is ``in_order`` and ``as_learned``.

    Columns: feature_date, account_id, outcome, is_treated (null where nothing was tried), is_held_back,
    weight and the features. Of what is learned from, a fifth of the accounts says when to stop.

    Raises:
        OutsideFileError: a feature is not what it is declared to be, a held-back row stands for others, or a
            part has too few rows of an outcome.
    """
    name = f"examples of {model.name}"
    if table.num_rows == 0:
        raise OutsideFileError(name, "there are none")
    outcomes = np.asarray(table.column("outcome").cast(pa.float64()).to_numpy())
    weights = np.asarray(table.column("weight").cast(pa.float64()).to_numpy())
    held_out = _mask(table, "is_held_back")
    is_treated = None if model.treatment is None else _mask(table, "is_treated")
    if np.any(weights[held_out] != 1):
        raise OutsideFileError(name, "a held-back row stands for others")
    stopping = ~held_out & _stops(table)
    learning = ~held_out & ~stopping
    for rows, words, needed in (
        (learning | stopping, "the days to learn from", FEWEST),
        (stopping, "the accounts to stop by", _FEWEST_TO_STOP),
        (held_out, "the held-back days", FEWEST),
    ):
        check_counts(outcomes, is_treated, rows, words, name, needed)
    found = [_feature(table, each, learning | stopping, name) for each in model.features]
    features = tuple(feature for feature, _ in found)
    matrix = encoded(table, features, name)
    return Examples(
        features,
        matrix,
        outcomes,
        is_treated,
        learning,
        stopping,
        held_out,
        digest_of(matrix, outcomes, is_treated, held_out, weights),
        tuple(warning for _, warnings in found for warning in warnings),
        None if np.all(weights == 1) else weights,
        _units(table),
    )


def _stops(table: pa.Table) -> Mask:
    """Rows of every fifth account by a hash: the same accounts in every training.

    Not of the latest days, as where every unit has one row: the accounts of these have been learned from,
    with long windows even their outcomes, and trees that know them look good for too long.
    """
    hashes = pd.util.hash_array(table.column(ACCOUNT).to_pandas().to_numpy(dtype=object), categorize=False)
    return np.asarray(hashes % round(1 / STOPPING_SHARE) == 0)


def _mask(table: pa.Table, column: str) -> Mask:
    return np.asarray(pc.fill_null(table.column(column), False).to_numpy(), dtype=np.bool_)


def _feature(table: pa.Table, name: FeatureName, learned: Mask, file: str) -> tuple[Feature, list[str]]:
    kind = kind_of(name)
    if kind == "category":
        return category_of(table, name, learned, file)
    return Feature(name=name, kind=kind), []


def _units(table: pa.Table) -> Integers:
    codes, _ = pd.factorize(table.column(ACCOUNT).to_pandas())
    return np.asarray(codes, dtype=np.int64)
