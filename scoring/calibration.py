"""Scores as probabilities: a curve learned on rows that no tree was grown on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, ParamSpec, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from scoring.columns import Floats

SMALLEST: Final = 1e-7
"""Probabilities are kept so far from 0 and 1 where their log odds are taken."""
P = ParamSpec("P")
R = TypeVar("R")


class PlattCurve(BaseModel):
    """``expit(intercept + slope · logit(p))`` (Platt 1999, on the log odds)."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["platt"] = "platt"
    slope: float
    intercept: float

    def apply(self, probabilities: Floats) -> Floats:
        """The calibrated probabilities."""
        return np.asarray(expit(self.intercept + self.slope * log_odds(probabilities)))


class IsotonicCurve(BaseModel):
    """Straight lines between points that never fall (Zadrozny and Elkan 2002)."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["isotonic"] = "isotonic"
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def apply(self, probabilities: Floats) -> Floats:
        """The calibrated probabilities."""
        return np.interp(probabilities, self.scores, self.probabilities)


Curve = PlattCurve | IsotonicCurve


def log_odds(probabilities: Floats) -> Floats:
    """Finite, also of 0 and 1."""
    return np.asarray(logit(np.clip(probabilities, SMALLEST, 1 - SMALLEST)))


def on_one_core(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates what is computed by linear algebra, so that the number of cores decides nothing.

    On more of them the same sums are added in another order, and the last bits of what is fitted are among
    the bytes that name a model.
    """
    found: Callable[P, R] = threadpool_limits.wrap(limits=1, user_api="blas")(function)
    return found


@on_one_core
def fit_platt(probabilities: Floats, outcomes: Floats, weights: Floats | None = None) -> PlattCurve:
    """The logistic regression, without a penalty, of the outcomes on the log odds that were predicted."""
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(log_odds(probabilities).reshape(-1, 1), outcomes, weights)
    return PlattCurve(slope=float(model.coef_[0, 0]), intercept=float(model.intercept_[0]))


def fit_isotonic(scores: Floats, outcomes: Floats, weights: Floats | None = None) -> IsotonicCurve:
    """The best curve that never falls, kept away from 0 and 1 by Laplace's rule: what so few rows have not
    seen is not impossible."""
    model = IsotonicRegression(out_of_bounds="clip").fit(scores, outcomes, weights)
    least = 1 / (len(outcomes) + 2)
    return IsotonicCurve(
        scores=tuple(model.X_thresholds_.tolist()),
        probabilities=tuple(np.clip(model.y_thresholds_, least, 1 - least).tolist()),
    )
