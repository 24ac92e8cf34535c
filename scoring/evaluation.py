"""How good a model is on the rows that were held out, beside what is known without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from scoring.calibration import fit_isotonic
from scoring.columns import Feature, Floats, Mask, encoded
from scoring.examples import Examples
from scoring.model import Model
from scoring.propensity import (
    CalibrationLine,
    Decile,
    Quality,
    calibration_of,
    lift_by_decile,
    logistic_baseline,
    quality_of,
)
from scoring.uplift import UpliftQuality, areas_of, uplift_quality_of
from segments.rule import Rule

LOGISTIC: Final = "logistic_regression"


class Baseline(Quality):
    """What is known without trees; ``qini`` where an uplift is predicted."""

    qini: float | None = None


class Evaluation(BaseModel):
    """What came of it; all numbers are of the held-out rows."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Those that were left out not counted."""
    held_out: int
    prevalence: float
    quality: Quality
    """Of an uplift model: of the outcome that it predicts given what was done with the row."""
    calibration: CalibrationLine | None
    lift: list[Decile]
    baselines: dict[str, Baseline]
    uplift: UpliftQuality | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """What somebody says of the held-out rows.

    ``probabilities`` are of the event given what was done with the row; ``scores`` say whom to take first:
    the same, or predicted uplifts.
    """

    probabilities: Floats
    scores: Floats

    def of(self, rows: Mask) -> Prediction:
        """What it says of some of the rows."""
        return Prediction(self.probabilities[rows], self.scores[rows])


def predicted(examples: Examples, model: Model, matrix: Floats | None = None) -> Prediction:
    """What a model says of the held-out rows; ``matrix`` has them, where it asks for other columns."""
    rows = examples.matrix[examples.held_out] if matrix is None else matrix
    is_treated = None if examples.is_treated is None else examples.is_treated[examples.held_out]
    return Prediction(model.outcome_probabilities(rows, is_treated), model.scores(rows))


def evaluate(examples: Examples, found: Prediction, baselines: Mapping[str, Prediction]) -> Evaluation:
    """A model and the baselines on the held-out rows."""
    held_out = examples.held_out
    outcomes = examples.outcomes[held_out]
    is_treated = None if examples.is_treated is None else examples.is_treated[held_out]
    return Evaluation(
        rows=len(examples.outcomes),
        held_out=int(held_out.sum()),
        prevalence=float(np.average(examples.outcomes, weights=examples.weights)),
        quality=quality_of(outcomes, found.probabilities),
        calibration=calibration_of(outcomes, found.probabilities),
        lift=lift_by_decile(outcomes, found.probabilities),
        baselines={
            name: Baseline(
                **quality_of(outcomes, each.probabilities).model_dump(),
                qini=None if is_treated is None else areas_of(each.scores, outcomes, is_treated).qini,
            )
            for name, each in baselines.items()
        },
        uplift=None if is_treated is None else uplift_quality_of(found.scores, outcomes, is_treated),
        warnings=examples.warnings,
    )


def plain_baselines(examples: Examples) -> dict[str, Prediction]:
    """The prevalence, and a logistic regression, of the rows that are learned from."""

    def prevalence(learned: Mask) -> Floats:
        share = np.average(examples.outcomes[learned], weights=_weights(examples, learned))
        return np.full(int(examples.held_out.sum()), share)

    def logistic(learned: Mask) -> Floats:
        weights = _weights(examples, learned)
        matrix, outcomes = examples.matrix[learned], examples.outcomes[learned]
        asked = examples.matrix[examples.held_out]
        return logistic_baseline(examples.features, matrix, outcomes, weights, asked)

    return {"prevalence": _by_arm(examples, prevalence), LOGISTIC: _by_arm(examples, logistic)}


def heuristic_baselines(examples: Examples, rows: pa.Table, rules: Iterable[Rule]) -> dict[str, Prediction]:
    """Of every rule's heuristic: whom it takes first, whether or not the model goes by its columns.

    Its points become probabilities by the best curve that never falls, over the rows that are learned from.
    ``rows``: those of the examples, with all features.

    Raises:
        OutsideFileError: the rows lack a column of a heuristic: no model passes by being compared with less.
    """
    return {f"heuristic of {rule.id}": _ordered_by(examples, _heuristic(rows, rule)) for rule in rules}


def _ordered_by(examples: Examples, points: Floats) -> Prediction:
    def curve(learned: Mask) -> Floats:
        fitted = fit_isotonic(points[learned], examples.outcomes[learned], _weights(examples, learned))
        return fitted.apply(points[examples.held_out])

    return Prediction(_by_arm(examples, curve).probabilities, points[examples.held_out])


def _heuristic(rows: pa.Table, rule: Rule) -> Floats:
    """The heuristic's score of every row, in [0, 100]."""
    ramps = rule.score.heuristic
    asked = [Feature(name=each.feature, kind="number") for each in ramps]
    columns = encoded(rows, asked, f"heuristic of {rule.id}").T
    points = np.zeros(rows.num_rows)
    for ramp, values in zip(ramps, columns, strict=True):
        done = (values - ramp.start) / (ramp.end - ramp.start)
        points += ramp.weight * np.clip(np.nan_to_num(done), 0, 1)
    return points


def _by_arm(examples: Examples, fit: Callable[[Mask], Floats]) -> Prediction:
    """``fit`` learns from some rows and speaks of the held-out ones; once for each arm, if there are any."""
    learned = examples.learning | examples.stopping
    if examples.is_treated is None:
        probabilities = fit(learned)
        return Prediction(probabilities, probabilities)
    treated, control = fit(learned & examples.is_treated), fit(learned & ~examples.is_treated)
    is_treated = examples.is_treated[examples.held_out]
    return Prediction(np.where(is_treated, treated, control), treated - control)


def _weights(examples: Examples, rows: Mask) -> Floats | None:
    return None if examples.weights is None else examples.weights[rows]
