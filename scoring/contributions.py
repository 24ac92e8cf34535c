"""Why a row has its score: what each feature adds to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from scoring.columns import Feature, Floats
from scoring.model import Model

TOP: Final = 5
"""So many features are told of a score; the others are told as one."""
Value = float | str | date | None
"""Of a feature: a number, a category, a day; None where missing."""
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class Contribution:
    """A feature of a row, its value, and what that adds to the raw score."""

    feature: str
    value: Value
    contribution: float


@dataclass(frozen=True)
class Reasons:
    """A score: ``base``, the contributions of ``top`` and ``rest`` add up to ``raw_score``.

    Raw scores are log odds before the calibration; of an uplift model the log odds with the treatment less
    those without.
    """

    score: float
    raw_score: float
    base: float
    """What all rows start from: the mean over those that were learned from."""
    top: tuple[Contribution, ...]
    """The largest first, whichever their sign."""
    rest: float
    """Of all other features together."""


def raw_scores_of(model: Model, matrix: Floats) -> Floats:
    """Log odds by the trees, or of an uplift model their difference between treated and control."""
    if not model.is_uplift:
        return model.trees["model"].raw_scores(matrix)
    return model.trees["treated"].raw_scores(matrix) - model.trees["control"].raw_scores(matrix)


def contributions_of(model: Model, matrix: Floats) -> Floats:
    """A column a feature, and the base in the last; each row adds up to its raw score."""
    if not model.is_uplift:
        return model.trees["model"].contributions(matrix)
    return model.trees["treated"].contributions(matrix) - model.trees["control"].contributions(matrix)


def reasons_of(model: Model, matrix: Floats, top: int = TOP) -> Iterator[Reasons]:
    """Why each row has its score."""
    found = contributions_of(model, matrix)
    parts, bases = found[:, :-1], found[:, -1]
    # Stable, so that equal contributions stay in the order of the features.
    largest = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :top]
    scores = model.scores(matrix)
    for row, places in enumerate(largest):
        kept = parts[row, places]
        yield Reasons(
            score=float(scores[row]),
            raw_score=float(found[row].sum()),
            base=float(bases[row]),
            top=tuple(
                Contribution(
                    model.features[place].name,
                    value_of(model.features[place], matrix[row, place]),
                    float(parts[row, place]),
                )
                for place in places
            ),
            rest=float(parts[row].sum() - kept.sum()),
        )


def value_of(feature: Feature, cell: float) -> Value:
    """What the matrix's number stands for."""
    if np.isnan(cell):
        return None
    if feature.kind == "category":
        return feature.categories[int(cell)]
    if feature.kind == "day":
        return _EPOCH + timedelta(days=int(cell))
    return float(cell)
