"""A model tried on an outside file: trained, judged on rows it has not seen, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from scoring import artifact
from scoring.columns import Floats
from scoring.distribution import distribution_of_training
from scoring.examples import Examples, examples_of
from scoring.insights import insights_of
from scoring.model import Model, train
from scoring.outside_map import OutsideMap
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


class Baseline(Quality):
    """What is known without trees; ``qini`` where an uplift is predicted."""

    qini: float | None = None


class Trial(BaseModel):
    """What came of it; all numbers are of the held-out rows."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Of the file, those that were left out not counted."""
    held_out: int
    prevalence: float
    quality: Quality
    """Of an uplift model: of the outcome that it predicts given what was done with the row."""
    calibration: CalibrationLine | None
    lift: list[Decile]
    baselines: dict[str, Baseline]
    uplift: UpliftQuality | None
    trees: dict[str, int]
    warnings: tuple[str, ...]
    model: Path

    def to_dict(self) -> dict[str, Any]:
        """What other programs are given."""
        return {
            "rows": self.rows,
            "prevalence": self.prevalence,
            **{name: getattr(self.quality, name) for name in ("auc", "average_precision", "log_loss")},
            "calibration": None if self.calibration is None else self.calibration.model_dump(mode="json"),
            "baselines": {
                name: each.model_dump(mode="json", exclude_none=True) for name, each in self.baselines.items()
            },
            "uplift": None
            if self.uplift is None
            else self.uplift.model_dump(mode="json", include={"qini", "interval", "by_decile"}),
            "model": str(self.model),
        }


def try_model(table: pa.Table, outside: OutsideMap, file: str, folder: Path) -> Trial:
    """Train and judge a model by the map, and keep it below ``folder``.

    The same table and map give the same numbers and the same model, byte for byte.

    Raises:
        OutsideFileError: names the rows and columns of ``file`` that are at fault.
        TreeLibraryError: LightGBM does not load.
        OSError: the folder cannot be written.
    """
    examples = examples_of(table, outside, file)
    model = train(examples, outside.calibration, outside.monotone)
    held_out = examples.held_out
    matrix, outcomes = examples.matrix[held_out], examples.outcomes[held_out]
    is_treated = None if examples.is_treated is None else examples.is_treated[held_out]
    probabilities = model.outcome_probabilities(matrix, is_treated)
    found = Trial(
        rows=len(examples.outcomes),
        held_out=int(held_out.sum()),
        prevalence=float(examples.outcomes.mean()),
        quality=quality_of(outcomes, probabilities),
        calibration=calibration_of(outcomes, probabilities),
        lift=lift_by_decile(outcomes, probabilities),
        baselines=_baselines(examples),
        uplift=None if is_treated is None else uplift_quality_of(model.scores(matrix), outcomes, is_treated),
        trees={name: each.count for name, each in model.trees.items()},
        warnings=examples.warnings,
        model=folder,
    )
    return found.model_copy(update={"model": _kept(folder, model, examples, outside, found)})


def _kept(folder: Path, model: Model, examples: Examples, outside: OutsideMap, found: Trial) -> Path:
    return artifact.write(
        folder,
        model,
        declared=outside.model_dump(mode="json", by_alias=True),
        rows={name: int(getattr(examples, name).sum()) for name in ("learning", "stopping", "held_out")},
        data_digest=examples.data_digest,
        metrics=found.model_dump(mode="json", exclude={"model", "rows", "trees"}),
        distribution=distribution_of_training(model, examples),
        insights=insights_of(
            model,
            examples.matrix[examples.held_out],
            examples.outcomes[examples.held_out],
            None if examples.is_treated is None else examples.is_treated[examples.held_out],
        ),
    )


def _baselines(examples: Examples) -> dict[str, Baseline]:
    """The prevalence, and a logistic regression; each by arm where there are arms."""
    earlier, held_out = ~examples.held_out, examples.held_out
    outcomes = examples.outcomes[held_out]
    if examples.is_treated is None:
        prevalence, logistic = _simple(examples, earlier)
        return {
            name: Baseline(**quality_of(outcomes, each).model_dump())
            for name, each in (("prevalence", prevalence), ("logistic_regression", logistic))
        }
    is_treated = examples.is_treated[held_out]
    treated = _simple(examples, earlier & examples.is_treated)
    control = _simple(examples, earlier & ~examples.is_treated)
    return {
        name: Baseline(
            **quality_of(outcomes, np.where(is_treated, of_treated, of_control)).model_dump(),
            qini=areas_of(of_treated - of_control, outcomes, is_treated).qini,
        )
        for name, of_treated, of_control in zip(
            ("prevalence", "logistic_regression"), treated, control, strict=True
        )
    }


def _simple(examples: Examples, learned: Any) -> tuple[Floats, Floats]:
    """For the held-out rows: the share of events among the learned ones, and a logistic regression's."""
    outcomes, held_out = examples.outcomes[learned], examples.matrix[examples.held_out]
    logistic = logistic_baseline(examples.features, examples.matrix[learned], outcomes)
    return np.full(len(held_out), outcomes.mean()), logistic.predict_proba(held_out)[:, 1]
