"""Whether what a model sees today is what it learned from, and whether what it said came true.

Nothing here retires a model: a level says how far a measure is from what was trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import chdtri, expit, ndtri

from scoring.calibration import fit_platt, log_odds
from scoring.columns import Floats
from scoring.declaration import ModelDeclaration
from scoring.distribution import Binned, Distribution

Level = Literal["ok", "warn", "critical"]
MeasureName = Literal["population_stability", "missing_share", "calibration_bias", "calibration_slope"]

SCORE: Final = "score"
"""What is measured where it is no feature."""
LIMITS: Final[dict[MeasureName, tuple[float, float]]] = {
    # Siddiqi, Credit Risk Scorecards (2006): below 0.10 no change, above 0.25 a shift.
    "population_stability": (0.10, 0.25),
    "missing_share": (0.05, 0.20),
    "calibration_bias": (0.10, 0.30),
    "calibration_slope": (0.20, 0.50),
}
"""Above the first a measure warns, above the second it is critical; never for what chance gives."""
CHANCE: Final = 1e-4
"""How often chance alone may pass for a change: thousands of measures are taken a year."""
FEWEST_EVENTS: Final = 20
"""Of each outcome; of fewer a calibration says nothing."""
_EMPTY_BIN: Final = 0.5
"""Rows that every bin has more than was counted, so that an empty one has a logarithm."""


class Measure(BaseModel):
    """How far something is from what the model was trained on; 0 is no distance.

    * ``population_stability``: Σ (p − q) · ln(p / q) over the bins of training, p now and q then.
    * ``missing_share``: the share of rows without a value, less that of training, without its sign.
    * ``calibration_bias``: events over those predicted, less 1, without its sign.
    * ``calibration_slope``: of the log odds of what happened by those predicted, less 1, without its sign.
    """

    model_config = ConfigDict(frozen=True)

    measure: MeasureName
    subject: str
    """A feature, or ``score``."""
    value: float
    warn_above: float
    critical_above: float
    """Both are raised to what chance gives of so few rows."""
    rows: int
    trained: float | None = None
    """What it was in training, where that is a number: the share of missing; 1 of what is calibrated."""
    found: float | None = None
    """What it is now."""

    @property
    def level(self) -> Level:
        """How much is to be done about it."""
        if self.value > self.critical_above:
            return "critical"
        return "warn" if self.value > self.warn_above else "ok"

    def describe(self) -> str:
        """One sentence with its numbers."""
        limit = self.critical_above if self.level == "critical" else self.warn_above
        side = "above" if self.level != "ok" else "within"
        words = self.measure.replace("_", " ")
        seen = "" if self.found is None else f" ({self.found:.3f}, trained on {self.trained:.3f})"
        return f"{words} of {self.subject}: {self.value:.3f}{seen}, {side} {limit:.3f} ({self.rows:,} rows)"


@dataclass(frozen=True)
class DayMeasures:
    """What was measured of a trained model on a day."""

    day: date
    measures: tuple[Measure, ...]


def blocking_reasons(measures: Iterable[Measure]) -> list[str]:
    """Why a version must not be promoted; empty where nothing is critical."""
    return [each.describe() for each in measures if each.level == "critical"]


def outdated(declared: ModelDeclaration, window: Mapping[str, str], day: date) -> list[str]:
    """That a training has become too old, if it has: one of ``day`` would learn from none of its days.

    ``window``: its days, as the model's folder has them; of a model without days nothing is too old.
    """
    as_of = window.get("as_of")
    if as_of is None or (day - date.fromisoformat(as_of)).days < declared.training.days:
        return []
    return [
        f"its training of {as_of} learned from days up to {window['learned_to']}: one of today would learn "
        "from none of them"
    ]


def is_drift_known(measures: Iterable[Measure]) -> bool:
    """Whether anybody of the model's population was compared with training: all is measured, or nothing."""
    return any(each.measure == "population_stability" and each.subject == SCORE for each in measures)


def drift_of(training: Distribution, now: Distribution) -> list[Measure]:
    """Stability of every feature and of the scores, and the features' shares of missing.

    ``now`` has the bins of ``training``; without a row there is nothing to measure.
    """
    return list(_drift(training, now))


def _drift(training: Distribution, now: Distribution) -> Iterator[Measure]:
    pairs = [(name, binned, now.features[name]) for name, binned in training.features.items()]
    if now.rows:
        for name, then, today in pairs:
            yield _stability(name, then, training.rows, today, now.rows)
            yield _missing(name, then, training.rows, today, now.rows)
    if now.score_rows:
        yield _stability(SCORE, training.scores, training.score_rows, now.scores, now.score_rows)


def population_stability(then: Binned, now: Binned) -> float:
    """The index, 0 for the same shares; missing is a bin as others are."""
    shares = []
    for binned in (then, now):
        filled = binned.with_missing + _EMPTY_BIN
        shares.append(filled / filled.sum())
    trained, found = shares
    return float(((found - trained) * np.log(found / trained)).sum())


def _stability(subject: str, then: Binned, then_rows: float, now: Binned, now_rows: float) -> Measure:
    # Without a change the index is distributed as χ² of bins − 1, times 1/n + 1/m: Yurdakul and Naranjo,
    # Statistical properties of the population stability index, Journal of Risk Model Validation 14 (2020).
    bins = int(((then.with_missing + now.with_missing) > 0).sum())
    chance = float(chdtri(max(bins - 1, 1), CHANCE)) * (1 / then_rows + 1 / now_rows)
    return _measure("population_stability", subject, population_stability(then, now), chance, now_rows)


def _missing(subject: str, then: Binned, then_rows: float, now: Binned, now_rows: float) -> Measure:
    trained, found = then.missing / then_rows, now.missing / now_rows
    pooled = (then.missing + now.missing) / (then_rows + now_rows)
    chance = _two_sided() * np.sqrt(pooled * (1 - pooled) * (1 / then_rows + 1 / now_rows))
    return _measure("missing_share", subject, abs(found - trained), float(chance), now_rows, trained, found)


def calibration_of_matured(probabilities: Floats, outcomes: Floats) -> list[Measure]:
    """Whether probabilities came true, of rows whose outcome is known by now.

    Empty where there are fewer than ``FEWEST_EVENTS`` of an outcome.
    """
    rows, events = len(outcomes), float(outcomes.sum())
    if min(events, rows - events) < FEWEST_EVENTS:
        return []
    predicted = float(probabilities.sum())
    spread = float(np.sqrt((probabilities * (1 - probabilities)).sum()))
    ratio = events / predicted
    found = [
        _measure(
            "calibration_bias", SCORE, abs(ratio - 1), _two_sided() * spread / predicted, rows, 1.0, ratio
        )
    ]
    if np.ptp(probabilities) > 0:
        line = fit_platt(probabilities, outcomes)
        chance = _two_sided() * _slope_error(probabilities, line.slope, line.intercept)
        found.append(_measure("calibration_slope", SCORE, abs(line.slope - 1), chance, rows, 1.0, line.slope))
    return found


def _slope_error(probabilities: Floats, slope: float, intercept: float) -> float:
    """Standard error of the logistic regression's slope, by its Fisher information."""
    by = log_odds(probabilities)
    fitted = expit(intercept + slope * by)
    weights = fitted * (1 - fitted)
    mean = (weights * by).sum() / weights.sum()
    return float(1 / np.sqrt((weights * np.square(by - mean)).sum()))


def _two_sided() -> float:
    return float(ndtri(1 - CHANCE / 2))


def _measure(
    name: MeasureName,
    subject: str,
    value: float,
    chance: float,
    rows: float,
    trained: float | None = None,
    found: float | None = None,
) -> Measure:
    warn, critical = LIMITS[name]
    return Measure(
        measure=name,
        subject=subject,
        value=value,
        warn_above=max(warn, chance),
        critical_above=max(critical, chance),
        rows=int(rows),
        trained=trained,
        found=found,
    )
