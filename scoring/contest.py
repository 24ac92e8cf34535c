"""Whether one predictor is better than another on the same held-out rows, beyond noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from scoring.calibration import on_one_core
from scoring.columns import Floats, Integers, Mask
from scoring.evaluation import Prediction
from scoring.uplift import Interval, areas_of, qinis_of

RESAMPLES: Final = 500
MOST_GROUPS: Final = 1_000
"""More accounts than this are put into so many groups by chance, which are drawn whole: an interval needs no
finer parts."""
_SEED: Final = 20_240_229
_SMALLEST: Final = 1e-7
_CELLS_AT_ONCE: Final = 1 << 22
"""Of a matrix of resamples and rows: 32 MiB."""
_PERCENTILES: Final = (2.5, 97.5)

Measure = Literal["log_loss", "qini"]


class Contest(BaseModel):
    """A candidate against somebody else, on rows that neither has learned from."""

    model_config = ConfigDict(frozen=True)

    against: str
    measure: Measure
    """log_loss of probabilities, where less is better; qini of uplifts, where more is."""
    candidate: float
    other: float
    gain: float
    """By how much the candidate is better; below 0, worse."""
    interval: Interval
    """95% of a paired bootstrap over accounts: both are judged by the same draw."""

    @property
    def is_won(self) -> bool:
        """Whether the candidate is better beyond noise: by chance alone one in forty is."""
        return self.interval[0] > 0


@on_one_core
def contest(
    against: str,
    candidate: Prediction,
    other: Prediction,
    outcomes: Floats,
    is_treated: Mask | None = None,
    units: Integers | None = None,
) -> Contest:
    """Of probabilities by log loss, of uplifts by Qini.

    ``units``: rows of one account have one number, and are drawn together, because what it does on one day
    says much of what it does on the next.
    """
    groups, draws = _draws(len(outcomes), units)
    if is_treated is None:
        losses = np.array([_losses(each.probabilities, outcomes) for each in (candidate, other)])
        gained = np.bincount(groups, weights=losses[1] - losses[0], minlength=draws.shape[1])
        gains = (draws @ gained) / (draws @ np.bincount(groups, minlength=draws.shape[1]))
        mine, its = (float(each.mean()) for each in losses)
        return _found(against, "log_loss", mine, its, its - mine, gains)
    mine, its = (areas_of(by.scores, outcomes, is_treated).qini for by in (candidate, other))
    parts = []
    at_once = max(1, _CELLS_AT_ONCE // len(outcomes))
    for start in range(0, RESAMPLES, at_once):
        weights = draws[start : start + at_once, groups]
        of_both = [qinis_of(by.scores, outcomes, is_treated, weights) for by in (candidate, other)]
        parts.append(of_both[0] - of_both[1])
    return _found(against, "qini", mine, its, mine - its, np.concatenate(parts))


def _found(
    against: str, measure: Measure, candidate: float, other: float, gain: float, gains: Floats
) -> Contest:
    low, high = np.percentile(gains, _PERCENTILES)
    return Contest(
        against=against,
        measure=measure,
        candidate=candidate,
        other=other,
        gain=gain,
        interval=(float(low), float(high)),
    )


def _losses(probabilities: Floats, outcomes: Floats) -> Floats:
    """Surprise by every row's outcome, finite also of 0 and 1."""
    of_event = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    return -np.where(outcomes == 1, np.log(of_event), np.log1p(-of_event))


def _draws(rows: int, units: Integers | None) -> tuple[Integers, Floats]:
    """Every row's group, and how often each resample (a row of the matrix) has drawn each group."""
    units = np.arange(rows) if units is None else np.unique(units, return_inverse=True)[1]
    count = int(units.max()) + 1
    groups = min(count, MOST_GROUPS)
    # By chance and not by their order, which is that of their ids.
    of_unit = np.random.default_rng(_SEED).permutation(count) % groups
    return of_unit[units], _drawn(groups)


@lru_cache(maxsize=4)
def _drawn(groups: int) -> Floats:
    random = np.random.default_rng(_SEED)
    return random.multinomial(groups, np.full(groups, 1 / groups), RESAMPLES).astype(np.float64)
