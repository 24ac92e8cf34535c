"""What models are judged by, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit
from threadpoolctl import threadpool_limits

from scoring.calibration import fit_isotonic, fit_platt
from scoring.columns import Feature, Floats
from scoring.propensity import calibration_of, lift_by_decile, logistic_baseline, quality_of
from scoring.uplift import areas_of, uplift_quality_of


def test_quality_is_that_of_the_textbook() -> None:
    found = quality_of(np.array([0.0, 1, 0, 1]), np.array([0.1, 0.4, 0.5, 0.8]))

    # Of the four pairs of an event and another row, one is in the wrong order.
    assert found.auc == 0.75
    # Events come first and third: (1/1 + 2/3) / 2.
    assert found.average_precision == pytest.approx(5 / 6)
    assert found.log_loss == pytest.approx(-math.log(0.9 * 0.4 * 0.5 * 0.8) / 4)


def test_equal_scores_have_no_order() -> None:
    assert quality_of(np.array([0.0, 1, 0, 1]), np.full(4, 0.5)).auc == 0.5


def test_true_probabilities_lie_on_the_line_of_slope_one() -> None:
    # At each probability, exactly that share of events.
    probabilities = np.repeat([0.2, 0.5, 0.8], 10)
    outcomes = np.concatenate([np.arange(10) < count for count in (2, 5, 8)]).astype(float)

    line = calibration_of(outcomes, probabilities)

    assert line is not None
    assert (line.slope, line.intercept) == pytest.approx((1, 0), abs=1e-4)


def test_twice_too_extreme_predictions_have_half_the_slope() -> None:
    log_odds = np.log([0.2 / 0.8, 1, 0.8 / 0.2])
    outcomes = np.concatenate([np.arange(10) < count for count in (2, 5, 8)]).astype(float)

    line = calibration_of(outcomes, expit(2 * np.repeat(log_odds, 10)))

    assert line is not None
    assert line.slope == pytest.approx(0.5, abs=1e-4)


def test_one_prediction_for_all_has_no_line() -> None:
    assert calibration_of(np.array([0.0, 1]), np.array([0.5, 0.5])) is None


def test_a_decile_has_a_tenth_of_the_rows_and_its_lift() -> None:
    scores = np.linspace(0.99, 0.01, 20)
    outcomes = np.array([1, 1, 1, 0] + [0] * 15 + [1], float)

    found = lift_by_decile(outcomes, scores)

    assert [each.rows for each in found] == [2] * 10
    assert [each.observed for each in found] == [1, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.5]
    assert [each.lift for each in found[:2]] == [5, 2.5]


def test_areas_are_those_of_a_table_worked_by_hand() -> None:
    # k   row            t c y_t y_c   gained / 3                 uplift · share
    # 1   treated, 1     1 0  1   0    0                          0
    # 2   control, 0     1 1  1   0    1/3                        1 · 2/6
    # 3   treated, 1     2 1  2   0    2/3                        1 · 3/6
    # 4   control, 1     2 2  2   1    (2 − 1)/3                  (1 − 1/2) · 4/6
    # 5   treated, 0     3 2  2   1    (2 − 1.5)/3                (2/3 − 1/2) · 5/6
    # 6   control, 0     3 3  2   1    (2 − 1)/3                  (2/3 − 1/3) · 1
    uplifts = np.array([6.0, 5, 4, 3, 2, 1])
    outcomes = np.array([1.0, 0, 1, 1, 0, 0])
    is_treated = np.array([True, False, True, False, True, False])

    found = areas_of(uplifts, outcomes, is_treated)

    under_the_curve = (0 + 1 / 3 + 2 / 3 + 1 / 3 + 1 / 6 + (1 / 3) / 2) / 6
    assert found.qini == pytest.approx(under_the_curve - (1 / 3) / 2)
    assert found.auuc == pytest.approx((2 / 6 + 3 / 6 + 2 / 6 + 5 / 36 + (1 / 3) / 2) / 6)


def test_an_order_that_knows_nothing_gains_nothing() -> None:
    found = areas_of(np.zeros(4), np.array([1.0, 0, 0, 0]), np.array([True, True, False, False]))

    assert (found.qini, found.auuc) == (0, 0.25)


def test_the_rows_order_decides_nothing() -> None:
    draw = np.random.default_rng(3)
    uplifts, outcomes = draw.integers(0, 5, 200).astype(float), draw.integers(0, 2, 200).astype(float)
    is_treated = draw.random(200) < 0.5
    other = draw.permutation(200)

    first = areas_of(uplifts, outcomes, is_treated)
    second = areas_of(uplifts[other], outcomes[other], is_treated[other])

    assert first.qini == pytest.approx(second.qini, abs=1e-12)
    assert areas_of(-uplifts, outcomes, is_treated).qini == pytest.approx(-first.qini, abs=0.05)


def test_an_interval_has_the_area_within_it_and_is_the_same_twice() -> None:
    draw = np.random.default_rng(5)
    is_treated = draw.random(1000) < 0.5
    effects = np.where(draw.random(1000) < 0.5, 0.4, 0.0)
    outcomes = (draw.random(1000) < 0.2 + effects * is_treated).astype(float)

    found = uplift_quality_of(effects, outcomes, is_treated)

    assert 0 < found.interval[0] < found.qini < found.interval[1]
    assert found.auuc_interval[0] < found.auuc < found.auuc_interval[1]
    assert found == uplift_quality_of(effects, outcomes, is_treated)


def test_a_decile_with_one_arm_has_no_uplift() -> None:
    is_treated = np.array([True] * 10 + [False] * 10)

    found = uplift_quality_of(np.linspace(1, 0, 20), np.ones(20), is_treated).by_decile

    assert (found[0].treated, found[0].control, found[0].uplift) == (1, None, None)


def test_platt_takes_back_what_was_exaggerated() -> None:
    probabilities = np.repeat([0.2, 0.5, 0.8], 10)
    outcomes = np.concatenate([np.arange(10) < count for count in (2, 5, 8)]).astype(float)
    exaggerated = expit(3 * np.log(probabilities / (1 - probabilities)) + 1)

    curve = fit_platt(exaggerated, outcomes)

    assert curve.apply(exaggerated) == pytest.approx(probabilities, abs=1e-4)


def test_isotonic_never_falls_and_calls_nothing_impossible() -> None:
    curve = fit_isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1, 0, 1]))

    assert curve.apply(np.array([0.0, 0.25, 1.0])).tolist() == pytest.approx([1 / 6, 0.5, 5 / 6])


def test_what_is_fitted_is_the_same_to_the_last_bit_on_any_number_of_cores() -> None:
    random = np.random.default_rng(3)
    matrix = random.normal(size=(60_000, 6))
    probabilities = expit(matrix @ np.array([0.5, -0.3, 0.2, 0.1, -0.1, 0.05]) - 1)
    outcomes = (random.random(60_000) < probabilities).astype(float)
    features = tuple(Feature(name=f"x{place}", kind="number") for place in range(6))

    def fitted(cores: int) -> tuple[Floats, str]:
        with threadpool_limits(cores, user_api="blas"):
            baseline = logistic_baseline(features, matrix, outcomes, None, matrix[:100])
            return baseline, fit_platt(probabilities, outcomes).model_dump_json()

    (one, curve), (two, same_curve) = fitted(1), fitted(2)

    assert one.tobytes() == two.tobytes()
    assert curve == same_curve
