"""Drift that is there is found where it is and nowhere else; chance is no drift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from scoring.columns import Feature, Floats
from scoring.distribution import Binned, Distribution, distribution_like, distribution_of
from scoring.stability import (
    Measure,
    blocking_reasons,
    calibration_of_matured,
    drift_of,
    population_stability,
)

FEATURES = (
    Feature(name="visits", kind="number"),
    Feature(name="is_paid", kind="number"),
    Feature(name="plan", kind="category", categories=("basic", "duo", "family")),
    Feature(name="tenure", kind="number"),
)


def accounts(rows: int, seed: int) -> Floats:
    """Visits, a flag of a tenth, one of three plans, and a tenure that a fifth has not."""
    draw = np.random.default_rng(seed)
    tenure = np.where(draw.random(rows) < 0.2, np.nan, draw.integers(0, 60, rows))
    return np.column_stack(
        [draw.normal(size=rows), draw.random(rows) < 0.1, draw.choice(3, rows, p=[0.6, 0.3, 0.1]), tenure]
    ).astype(np.float64)


def scores_of(matrix: Floats) -> Floats:
    return np.asarray(expit(matrix[:, 0] - 1))


def trained(rows: int = 20_000) -> Distribution:
    matrix = accounts(rows, seed=1)
    return distribution_of(FEATURES, matrix, scores_of(matrix[:4_000]))


def measured(matrix: Floats, training: Distribution | None = None) -> list[Measure]:
    training = training or trained()
    return drift_of(training, distribution_like(training, FEATURES, matrix, scores_of(matrix)))


def told(measures: list[Measure]) -> dict[tuple[str, str], str]:
    return {(each.measure, each.subject): each.level for each in measures if each.level != "ok"}


def test_a_day_like_the_training_has_no_drift() -> None:
    found = measured(accounts(5_000, seed=2))

    assert told(found) == {}
    # Of every feature two measures, and of the scores one.
    assert len(found) == 9
    assert max(each.value for each in found) < 0.02


@pytest.mark.parametrize(
    ("feature", "change", "levels"),
    [
        (
            "plan",
            lambda column: np.where(column == 0, 2, column),
            {("population_stability", "plan"): "critical"},
        ),
        ("is_paid", lambda column: 1 - column, {("population_stability", "is_paid"): "critical"}),
        (
            "tenure",
            lambda column: np.where(np.arange(len(column)) % 2, np.nan, column),
            {("population_stability", "tenure"): "critical", ("missing_share", "tenure"): "critical"},
        ),
        (
            "tenure",
            lambda column: np.where(np.arange(len(column)) % 8, column, np.nan),
            {("missing_share", "tenure"): "warn"},
        ),
        # What decides the score moves the scores with it.
        (
            "visits",
            lambda column: column + 0.4,
            {("population_stability", "visits"): "warn", ("population_stability", "score"): "warn"},
        ),
    ],
)  # fmt: skip
def test_planted_drift_is_found_in_its_feature_and_in_no_other(
    feature: str, change: object, levels: dict[tuple[str, str], str]
) -> None:
    matrix = accounts(5_000, seed=3)
    place = [each.name for each in FEATURES].index(feature)
    matrix[:, place] = change(matrix[:, place])  # type: ignore[operator]

    assert told(measured(matrix)) == levels


def test_chance_is_no_drift_however_few_rows_there_are() -> None:
    training = trained(2_000)
    alarms = [
        each.describe()
        for seed in range(200)
        for rows in (20, 100, 400)
        for each in measured(accounts(rows, seed=1_000 + seed), training)
        if each.level != "ok"
    ]

    # 5,400 measures.
    assert len(alarms) <= 5, alarms


def test_nobody_scored_is_nothing_measured() -> None:
    assert measured(np.empty((0, 4))) == []


def test_the_index_is_that_of_the_textbook() -> None:
    # Shares 0.5 and 0.5, then 0.8 and 0.2: 0.3 · ln 1.6 − 0.3 · ln 0.4.
    then, now = Binned(counts=(5e6, 5e6), missing=0), Binned(counts=(8e6, 2e6), missing=0)

    assert population_stability(then, now) == pytest.approx(0.3 * math.log(4), abs=1e-5)
    assert population_stability(then, then) == 0


def test_training_rows_that_stand_for_others_count_for_them() -> None:
    # Of four rows in a, one stands for ten that were not drawn.
    plan = Feature(name="plan", kind="category", categories=("a", "b"))
    matrix = np.array([[0.0], [0.0], [0.0], [0.0], [1.0]])
    weights = np.array([1.0, 1, 1, 1, 10])

    found = distribution_of((plan,), matrix, np.array([0.5]), weights)

    assert found.rows == pytest.approx(14**2 / 104)
    shares = np.array(found.features["plan"].counts) / found.rows
    assert shares == pytest.approx([4 / 14, 10 / 14], abs=1e-3)


def test_a_category_that_training_has_not_seen_counts_as_missing() -> None:
    matrix = accounts(2_000, seed=4)
    matrix[:1_000, 2] = np.nan

    assert told(measured(matrix))["missing_share", "plan"] == "critical"


def matured(rows: int, true: object, seed: int = 5) -> list[Measure]:
    """Predictions of a spread, and outcomes that happen by ``true`` of them."""
    draw = np.random.default_rng(seed)
    probabilities = expit(draw.normal(-1.5, 1, rows))
    outcomes = (draw.random(rows) < true(probabilities)).astype(np.float64)  # type: ignore[operator]
    return calibration_of_matured(probabilities, outcomes)


def test_predictions_that_came_true_are_calibrated() -> None:
    found = matured(20_000, lambda p: p)

    assert {each.measure: each.level for each in found} == {
        "calibration_bias": "ok", "calibration_slope": "ok",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("true", "levels"),
    [
        (lambda p: expit(logit(p) - 0.3), {("calibration_bias", "score"): "warn"}),
        (lambda p: expit(logit(p) - 1), {("calibration_bias", "score"): "critical"}),
        (lambda p: expit(0.4 * logit(p) - 0.75), {("calibration_slope", "score"): "critical"}),
    ],
)
def test_predictions_that_did_not_come_true_are_told(true: object, levels: dict[str, str]) -> None:
    assert told(matured(20_000, true)) == levels


def test_few_outcomes_say_nothing_of_a_calibration() -> None:
    assert calibration_of_matured(np.full(500, 0.02), np.arange(500) < 19) == []
    assert told(matured(300, lambda p: 0.8 * p)) == {}


def test_only_what_is_critical_blocks_a_promotion_and_says_why() -> None:
    matrix = accounts(5_000, seed=3)
    matrix[:, 0] += 0.4
    matrix[:, 2] = 2

    assert blocking_reasons(measured(matrix)) == [
        "population stability of plan: 9.676, above 0.250 (5,000 rows)"
    ]
    assert blocking_reasons([]) == []
