"""Features that tell the outcome too well to have been known before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from scoring.columns import Feature, Floats, Mask

SUSPICIOUS_AUC: Final = 0.99
_FEWEST: Final = 20
"""Rows of each outcome that a feature has to be there for, or of a category: fewer tell by chance."""


_CHANCE: Final = 1e-9
"""Rows that share the event with at most this probability share it for a reason."""


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


@dataclass(frozen=True)
class EventsOnly:
    """Values of a feature that only rows with the event have: what was spent, of whether one visited."""

    feature: str
    rows: int


def events_only_of(features: Sequence[Feature], matrix: Floats, outcomes: Floats) -> list[EventsOnly]:
    """The features whose highest or lowest values, or one of whose categories, only rows with the event have.

    It may be known before the event (who has cancelled leaves), or be written down with it.
    """
    is_event, share = outcomes == 1, float(np.mean(outcomes))
    found = []
    for place, feature in enumerate(features):
        rows = max(_events_only(feature, matrix[:, place], is_event), default=0)
        if rows >= _FEWEST and share**rows < _CHANCE:
            found.append(EventsOnly(feature.name, rows))
    return found


def _events_only(feature: Feature, column: Floats, is_event: Mask) -> Iterator[int]:
    """How many rows have values that no row without the event has."""
    others = column[~is_event & ~np.isnan(column)]
    if feature.kind == "category":
        events = column[is_event & ~np.isnan(column)]
        yield from np.unique(events[~np.isin(events, others)], return_counts=True)[1].tolist()
    elif not len(others):
        yield int((~np.isnan(column)).sum())
    else:
        yield int((column > others.max()).sum())
        yield int((column < others.min()).sum())


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
