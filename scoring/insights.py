"""What a model goes by: which features count, how its score moves with them, how good it is for parts.

Made once, when a model is trained, of rows that it has not seen, and kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence

from scoring.columns import Feature, Floats, Mask
from scoring.contributions import contributions_of, value_of
from scoring.model import Model
from scoring.slices import Slice, slices_of
from scoring.uplift import QiniPoint, qini_curve_of

IMPORTANCE_ROWS: Final = 2_000
DEPENDENCE_ROWS: Final = 500
DEPENDENCE_FEATURES: Final = 12
"""Of the most important features only: each costs a prediction of all its rows for each of its values."""
GRID: Final = 12
"""Values of a feature that dependence is shown at: quantiles, or the most frequent categories."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Importance(_Part):
    """A feature, and the mean of its contributions to raw scores without their sign, in log odds."""

    feature: str
    contribution: float


class DependencePoint(_Part):
    """The mean score of all rows, had they this value."""

    value: float | str
    score: float


class Dependence(_Part):
    """Friedman's partial dependence (Annals of Statistics 29, 2001) of the score on one feature."""

    feature: str
    points: tuple[DependencePoint, ...]


class Insights(_Part):
    """All that a model's page shows beside its metrics."""

    importance: tuple[Importance, ...]
    """The most important first; every feature is there."""
    dependence: tuple[Dependence, ...]
    """Of the most important features."""
    qini: tuple[QiniPoint, ...] | None
    """Of an uplift model."""
    slices: tuple[Slice, ...]
    """By market, age band and tenure, where those are known of the rows."""


def insights_of(
    model: Model,
    matrix: Floats,
    outcomes: Floats,
    is_treated: Mask | None,
    divisions: Mapping[str, Sequence[str | None]] | None = None,
) -> Insights:
    """Of rows that the model has not seen; ``divisions`` are those of ``slices_of``."""
    importance = _importance(model, _spread(matrix, IMPORTANCE_ROWS))
    names = [each.feature for each in importance[:DEPENDENCE_FEATURES]]
    scores = model.scores(matrix)
    return Insights(
        importance=importance,
        dependence=_dependence(model, _spread(matrix, DEPENDENCE_ROWS), names),
        qini=None if is_treated is None else qini_curve_of(scores, outcomes, is_treated),
        slices=slices_of(
            divisions or {},
            outcomes,
            model.outcome_probabilities(matrix, is_treated),
            None if is_treated is None else scores,
            is_treated,
        ),
    )


def _spread(matrix: Floats, most: int) -> Floats:
    """At most so many rows, evenly from first to last: the same rows give the same bytes."""
    if len(matrix) <= most:
        return matrix
    return matrix[np.linspace(0, len(matrix) - 1, most).astype(np.int64)]


def _importance(model: Model, matrix: Floats) -> tuple[Importance, ...]:
    means = np.abs(contributions_of(model, matrix)[:, :-1]).mean(axis=0)
    return tuple(
        Importance(feature=model.features[place].name, contribution=float(means[place]))
        for place in np.argsort(-means, kind="stable")
    )


def _dependence(model: Model, matrix: Floats, names: Sequence[str]) -> tuple[Dependence, ...]:
    found = []
    for name in names:
        place = next(at for at, each in enumerate(model.features) if each.name == name)
        feature = model.features[place]
        values = _grid(feature, matrix[:, place])
        if len(values) < 2:
            continue
        [means] = partial_dependence(
            _Scores(model), matrix, [place], custom_values={place: values}, method="brute", kind="average"
        )["average"]
        points = tuple(
            DependencePoint(value=_shown(feature, value), score=float(mean))
            for value, mean in zip(values, means, strict=True)
        )
        found.append(Dependence(feature=name, points=points))
    return tuple(found)


def _shown(feature: Feature, value: float) -> float | str:
    shown = value_of(feature, value)
    return shown if isinstance(shown, float) else str(shown)


def _grid(feature: Feature, column: Floats) -> Floats:
    known = column[~np.isnan(column)]
    if feature.kind == "category":
        codes, counts = np.unique(known, return_counts=True)
        return np.sort(codes[np.argsort(-counts, kind="stable")[:GRID]])
    if not len(known):
        return known
    return np.unique(np.quantile(known, np.linspace(0.02, 0.98, GRID), method="nearest"))


class _Scores(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The model as scikit-learn knows one: it has learned already, and predicts scores."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def fit(self, *_: Any) -> _Scores:
        """Nothing is left to learn."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, matrix: Floats) -> Floats:
        """The scores."""
        return self.model.scores(matrix)
