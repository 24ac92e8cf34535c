"""A model: trees of LightGBM, what they were grown on, and how their scores become probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scoring.calibration import Curve, fit_isotonic, fit_platt
from scoring.columns import Feature, Floats, Mask
from scoring.examples import Examples
from scoring.outside_map import Calibration, Direction
from segue.errors import SegueError

if TYPE_CHECKING:
    import lightgbm

SEED: Final = 20_240_229
_PATIENCE: Final = 50
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "num_iterations": 2_000,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 30,
    "lambda_l2": 1.0,
    "min_data_per_group": 50,
    "feature_fraction": 0.9,
    "feature_fraction_seed": SEED,
    "seed": SEED,
    # The same rows give the same bytes, on any number of cores.
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


class TreeLibraryError(SegueError):
    """LightGBM cannot be loaded: the system has no OpenMP runtime."""

    code = "tree_library"
    hint = "on Debian and Ubuntu: apt-get install libgomp1"
    is_final = True


def _lightgbm() -> Any:
    try:
        import lightgbm
    except OSError as error:
        raise TreeLibraryError(f"LightGBM does not load: {error}") from error
    return lightgbm


@dataclass(frozen=True)
class Trees:
    """One booster in LightGBM's text format, and the curve over its probabilities."""

    text: str
    curve: Curve | None = None

    @cached_property
    def _booster(self) -> lightgbm.Booster:
        return _lightgbm().Booster(model_str=self.text)

    def dumped(self) -> Mapping[str, Any]:
        """LightGBM's description of every tree, node by node."""
        found: Mapping[str, Any] = self._booster.dump_model()
        return found

    @property
    def count(self) -> int:
        """How many trees."""
        return int(self._booster.num_trees())

    def probabilities(self, matrix: Floats) -> Floats:
        """Of the event, for every row."""
        raw = np.asarray(self._booster.predict(matrix, num_threads=1), dtype=np.float64)
        return raw if self.curve is None else self.curve.apply(raw)

    def raw_scores(self, matrix: Floats) -> Floats:
        """Log odds of the event for every row, before the curve."""
        return np.asarray(self._booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)

    def contributions(self, matrix: Floats) -> Floats:
        """What every feature adds to a row's raw score, and in the last column what all rows start from.

        LightGBM's exact SHAP values of trees (Lundberg et al., Nature Machine Intelligence 2, 2020): a row of
        them adds up to the row's raw score.
        """
        found = self._booster.predict(matrix, pred_contrib=True, num_threads=1)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True)
class Model:
    """What is predicted of a row: the probability of the event, or by how much the treatment changes it.

    ``trees`` has one booster, ``model``; or two, ``control`` and ``treated``, each grown on its arm alone
    (the T-learner of Künzel, Sekhon, Bickel and Yu, PNAS 2019).
    """

    features: tuple[Feature, ...]
    trees: Mapping[str, Trees]
    parameters: Mapping[str, Any] = field(default_factory=lambda: PARAMETERS)
    """What LightGBM was told."""

    @property
    def is_uplift(self) -> bool:
        """Whether scores are differences of probabilities."""
        return "treated" in self.trees

    def scores(self, matrix: Floats) -> Floats:
        """One per row: a probability in [0, 1], or an uplift in [−1, 1]."""
        if not self.is_uplift:
            return self.trees["model"].probabilities(matrix)
        return self.trees["treated"].probabilities(matrix) - self.trees["control"].probabilities(matrix)

    def shares(self, matrix: Floats) -> Floats:
        """The scores as rules have them, in [0, 1]: an uplift u as (1 + u) / 2, so that 0.5 is no effect."""
        scores = self.scores(matrix)
        return (1 + scores) / 2 if self.is_uplift else scores

    def outcome_probabilities(self, matrix: Floats, is_treated: Mask | None) -> Floats:
        """Of the event, given what was done with the row."""
        if is_treated is None:
            return self.trees["model"].probabilities(matrix)
        return np.where(
            is_treated,
            self.trees["treated"].probabilities(matrix),
            self.trees["control"].probabilities(matrix),
        )


def train(
    examples: Examples,
    calibration: Calibration | None = None,
    monotone: Mapping[str, Direction] | None = None,
    bounds: Mapping[str, Any] | None = None,
) -> Model:
    """The model that the examples teach; the same examples give the same bytes.

    ``bounds`` are parameters of LightGBM that count instead of ``PARAMETERS``.

    Raises:
        TreeLibraryError: LightGBM does not load.
    """
    arms: dict[str, Mask] = {"model": np.ones(len(examples.outcomes), bool)}
    if examples.is_treated is not None:
        arms = {"control": ~examples.is_treated, "treated": examples.is_treated}
    parameters = PARAMETERS | dict(bounds or {})
    if monotone:
        signs = {"increasing": 1, "decreasing": -1}
        parameters["monotone_constraints"] = [
            signs[monotone[each.name]] if each.name in monotone else 0 for each in examples.features
        ]
    trees = {
        name: _grown(
            examples.features,
            _Rows.of(examples, examples.learning & of_arm),
            _Rows.of(examples, examples.stopping & of_arm),
            calibration,
            parameters,
        )
        for name, of_arm in arms.items()
    }
    return Model(examples.features, trees, parameters)


@dataclass(frozen=True)
class _Rows:
    """Some of the examples."""

    matrix: Floats
    outcomes: Floats
    weights: Floats | None

    @classmethod
    def of(cls, examples: Examples, rows: Mask) -> _Rows:
        weights = None if examples.weights is None else examples.weights[rows]
        return cls(examples.matrix[rows], examples.outcomes[rows], weights)


def _grown(
    features: Sequence[Feature],
    learning: _Rows,
    stopping: _Rows,
    calibration: Calibration | None,
    parameters: dict[str, Any],
) -> Trees:
    library = _lightgbm()
    # Names are ours to keep (model.json): LightGBM refuses some characters in its own.
    shared = {
        "categorical_feature": [place for place, each in enumerate(features) if each.kind == "category"],
        "params": parameters,
    }
    data = library.Dataset(learning.matrix, learning.outcomes, weight=learning.weights, **shared)
    later = library.Dataset(
        stopping.matrix, stopping.outcomes, weight=stopping.weights, reference=data, **shared
    )
    booster = library.train(
        {name: value for name, value in parameters.items() if name != "num_iterations"},
        data,
        parameters["num_iterations"],
        valid_sets=[later],
        callbacks=[library.early_stopping(_PATIENCE, verbose=False)],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    if calibration is None:
        return Trees(text)
    fit = fit_platt if calibration == "platt" else fit_isotonic
    return Trees(text, fit(Trees(text).probabilities(stopping.matrix), stopping.outcomes, stopping.weights))
