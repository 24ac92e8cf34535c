"""How the values of features, and scores, were spread over the rows that a model learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from scoring.columns import Feature, Floats
from scoring.examples import Examples
from scoring.model import Model

BINS: Final = 10
_FEW_VALUES: Final = 20
"""A feature of at most so many values has a bin for each."""


class Binned(BaseModel):
    """Rows by bins of a feature, or of the score.

    Of numbers and days bin i holds the values above ``edges[i − 1]`` and up to ``edges[i]``, the last one all
    above; of a category a bin is one, in the order of the feature's.
    """

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...] = ()
    """Empty of a category."""
    counts: tuple[float, ...]
    missing: float
    """Rows without a value; of a category also those of one that was not known."""

    @property
    def with_missing(self) -> Floats:
        """The counts, and last that of missing."""
        return np.array([*self.counts, self.missing])


class Distribution(BaseModel):
    """Binned rows by feature, and by score.

    ``rows`` is what they are worth as evidence: their number, or, where they weigh differently, Kish's
    effective number (Σw)² / Σw² (Survey Sampling, 1965). Counts are shares of it.
    """

    model_config = ConfigDict(frozen=True)

    rows: float
    features: dict[str, Binned]
    score_rows: float
    scores: Binned


def distribution_of(
    features: Sequence[Feature],
    matrix: Floats,
    scores: Floats,
    weights: Floats | None = None,
    score_weights: Floats | None = None,
) -> Distribution:
    """Of the rows that were learned from; the bins are deciles of what was found.

    ``scores`` may be of fewer rows: of those that no tree was grown on, which are like what is scored later.
    """
    whole, of_rows = _evidence(len(matrix), weights)
    score_whole, of_scores = _evidence(len(scores), score_weights)
    return Distribution(
        rows=whole,
        features={
            feature.name: _counted(
                () if feature.kind == "category" else _edges(matrix[:, place]),
                feature,
                matrix[:, place],
                of_rows,
            )
            for place, feature in enumerate(features)
        },
        score_rows=score_whole,
        scores=_counted(_edges(scores), None, scores, of_scores),
    )


def distribution_of_training(model: Model, examples: Examples, weights: Floats | None = None) -> Distribution:
    """Of what the model learned from; of its scores on the part of it that no tree was grown on.

    ``weights`` has one for each example, where not all that there were are among them.
    """
    learned = examples.learning | examples.stopping
    return distribution_of(
        model.features,
        examples.matrix[learned],
        model.scores(examples.matrix[examples.stopping]),
        None if weights is None else weights[learned],
        None if weights is None else weights[examples.stopping],
    )


def distribution_like(
    training: Distribution, features: Sequence[Feature], matrix: Floats, scores: Floats
) -> Distribution:
    """Of other rows, by the same bins."""
    ones = np.ones(len(matrix))
    return Distribution(
        rows=float(len(matrix)),
        features={
            feature.name: _counted(training.features[feature.name].edges, feature, matrix[:, place], ones)
            for place, feature in enumerate(features)
        },
        score_rows=float(len(scores)),
        scores=_counted(training.scores.edges, None, scores, np.ones(len(scores))),
    )


def _evidence(rows: int, weights: Floats | None) -> tuple[float, Floats]:
    """The effective number of rows, and each row's part of it."""
    if weights is None:
        return float(rows), np.ones(rows)
    whole = float(weights.sum() ** 2 / np.square(weights).sum())
    return whole, weights / weights.sum() * whole


def _edges(values: Floats) -> tuple[float, ...]:
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= _FEW_VALUES:
        return tuple(distinct.tolist())
    inner = np.quantile(known, np.arange(1, BINS) / BINS)
    return tuple(np.unique(inner).tolist())


def _counted(edges: tuple[float, ...], feature: Feature | None, values: Floats, parts: Floats) -> Binned:
    is_missing = np.isnan(values)
    known, of_known = values[~is_missing], parts[~is_missing]
    if feature is not None and feature.kind == "category":
        bins, places = len(feature.categories), known.astype(np.int64)
    else:
        bins, places = len(edges) + 1, np.searchsorted(np.array(edges), known, side="left")
    counts = np.bincount(places, weights=of_known, minlength=bins)
    return Binned(
        edges=edges,
        # Whole rows stay whole numbers, and others need no more digits than this.
        counts=tuple(np.round(counts, 3).tolist()),
        missing=round(float(parts[is_missing].sum()), 3),
    )
