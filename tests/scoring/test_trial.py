"""Models on made-up data whose truth is known: they find it, and nothing where there is nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from scoring import artifact
from scoring.columns import encoded
from scoring.examples import Examples, examples_of
from scoring.model import Model, train
from scoring.trial import Trial, try_model
from tests.scoring.planted import Planted, customers, propensity_map, trial, uplift_map


@pytest.fixture(scope="module")
def planted() -> Planted:
    return customers(20_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def tried(planted: Planted, folder: Path) -> Trial:
    return try_model(planted.table, propensity_map(), "customers.csv", folder)


@pytest.fixture(scope="module")
def examples(planted: Planted) -> Examples:
    return examples_of(planted.table, propensity_map(), "customers.csv")


def test_a_propensity_is_found_as_well_as_its_truth_can_be(
    tried: Trial, planted: Planted, examples: Examples
) -> None:
    held_out = examples.held_out
    best = roc_auc_score(examples.outcomes[held_out], planted.truth[held_out])

    assert best - 0.02 < tried.quality.auc < best + 0.005
    assert tried.calibration is not None
    assert 0.9 <= tried.calibration.slope <= 1.1
    assert abs(tried.calibration.intercept) < 0.1
    assert (tried.rows, tried.held_out) == (20_000, 6_000)


def test_a_model_is_better_than_what_needs_none(tried: Trial) -> None:
    assert tried.baselines["prevalence"].auc == 0.5
    assert tried.quality.log_loss < tried.baselines["prevalence"].log_loss
    assert tried.lift[0].lift > 1.8 > 1 > tried.lift[9].lift
    # The planted truth is a logistic regression's own.
    assert abs(tried.baselines["logistic_regression"].auc - tried.quality.auc) < 0.01


def test_shuffled_labels_teach_nothing(planted: Planted, tmp_path: Path) -> None:
    labels = planted.table.column("converted").to_numpy()
    shuffled = np.random.default_rng(2).permutation(labels)
    table = planted.table.set_column(5, "converted", pa.array(shuffled.tolist()))

    found = try_model(table, propensity_map(), "customers.csv", tmp_path)

    assert abs(found.quality.auc - 0.5) < 0.025


def test_the_same_examples_give_the_same_bytes(tried: Trial, planted: Planted, tmp_path: Path) -> None:
    again = try_model(planted.table, propensity_map(), "customers.csv", tmp_path)

    assert again.model.name == tried.model.name
    for file in ("model.json", "model.txt"):
        assert (again.model / file).read_bytes() == (tried.model / file).read_bytes()


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_a_calibrated_model_is_calibrated_when_it_is_loaded(
    kind: str, planted: Planted, tmp_path: Path
) -> None:
    small = planted.table.slice(0, 4_000)

    found = try_model(small, propensity_map(calibration=kind), "customers.csv", tmp_path)

    model, _ = artifact.load(found.model)
    curve = model.trees["model"].curve
    assert curve is not None
    assert curve.kind == kind
    scores = model.scores(encoded(small, model.features, "customers.csv"))
    assert 0 < scores.min() < scores.max() < 1


def test_a_loaded_model_scores_as_the_one_that_was_written(tried: Trial, examples: Examples) -> None:
    first: Model = train(examples)

    assert np.array_equal(
        artifact.load(tried.model)[0].scores(examples.matrix), first.scores(examples.matrix)
    )


def test_more_never_scores_less_where_that_is_declared(planted: Planted, tmp_path: Path) -> None:
    outside = propensity_map(monotone={"noise": "increasing"})

    found = try_model(planted.table.slice(0, 4_000), outside, "customers.csv", tmp_path)

    model, _ = artifact.load(found.model)
    row = encoded(planted.table.slice(0, 1), model.features, "customers.csv")
    rows = np.repeat(row, 50, axis=0)
    noise = [each.name for each in model.features].index("noise")
    rows[:, noise] = np.linspace(-3, 3, 50)
    assert (np.diff(model.scores(rows)) >= 0).all()


def test_an_uplift_ranks_whom_it_helps_before_whom_it_leaves_and_whom_it_harms(tmp_path: Path) -> None:
    planted = trial(20_000)

    found = try_model(planted.table, uplift_map(), "trial.csv", tmp_path)

    model, _ = artifact.load(found.model)
    scores = model.scores(encoded(planted.table, model.features, "trial.csv"))
    helped, left, harmed = (scores[planted.truth == effect].mean() for effect in (0.15, 0.0, -0.1))
    assert (helped, left, harmed) == pytest.approx((0.15, 0.0, -0.1), abs=0.04)
    assert found.uplift is not None
    assert 0 < found.uplift.interval[0] < found.uplift.qini
    assert found.baselines["prevalence"].qini == 0
    first, last = found.uplift.by_decile[0], found.uplift.by_decile[9]
    assert first.uplift is not None
    assert last.uplift is not None
    assert first.uplift > 0.08 > 0 > last.uplift


def test_later_rows_are_held_out_and_the_latest_before_them_say_when_to_stop(planted: Planted) -> None:
    days = pa.array([f"2026-01-{1 + each % 30:02d}" for each in range(20_000)])
    table = planted.table.append_column("day", days)
    outside = propensity_map(holdout={"column": "day", "from": "2026-01-21"})

    found = examples_of(table, outside, "customers.csv")

    numbers = np.arange(20_000) % 30 + 1
    assert set(numbers[found.held_out]) == set(range(21, 31))
    assert max(numbers[found.learning]) < min(numbers[found.stopping])
    assert max(numbers[found.stopping]) == 20
    assert "day" not in [each.name for each in found.features]
