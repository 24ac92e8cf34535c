"""Features that tell the outcome too well to have been known before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from scoring.columns import Feature, Floats

SUSPICIOUS_AUC: Final = 0.99
_FEWEST: Final = 20
"""Rows of each outcome that a feature has to be there for, or of a category: fewer tell by chance."""


@dataclass(frozen=True)
class Leak:
    """A feature that alone, or by being there, orders the outcomes almost without a mistake."""

    feature: str
    auc: float

    @property
    def is_certain(self) -> bool:
        """It gives every row's outcome away."""
        return self.auc == 1


def leaks_of(features: Sequence[Feature], matrix: Floats, outcomes: Floats) -> list[Leak]:
    """The features of which one alone has an AUC above ``SUSPICIOUS_AUC``, in whatever direction."""
    found = []
    for place, feature in enumerate(features):
        auc = max((max(each, 1 - each) for each in _alone(feature, matrix[:, place], outcomes)), default=0.5)
        if auc > SUSPICIOUS_AUC:
            found.append(Leak(feature.name, auc))
    return found


def _alone(feature: Feature, column: Floats, outcomes: Floats) -> Iterator[float]:
    """AUCs of whether the feature is there, and of its values where they are."""
    there = ~np.isnan(column)
    if not there.all():
        yield float(roc_auc_score(outcomes, there))
    values = column
    if feature.kind == "category":
        if len(feature.categories) > len(outcomes) / _FEWEST:
            return
        # Every category by its share of positives, and missing as one of them.
        codes = pd.Series(np.where(there, column, -1))
        values = pd.Series(outcomes).groupby(codes).transform("mean").to_numpy()
    elif min(outcomes[there].sum(), (1 - outcomes[there]).sum()) < _FEWEST:
        return
    else:
        values, outcomes = column[there], outcomes[there]
    yield float(roc_auc_score(outcomes, values))
