"""Why a row has its score: what its features add, which add up to it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.calibration import PlattCurve
from scoring.columns import Feature
from scoring.contributions import Contribution, contributions_of, raw_scores_of, reasons_of, value_of
from scoring.examples import Examples, examples_of
from scoring.insights import insights_of
from scoring.model import Model, train
from tests.scoring.planted import customers, propensity_map, trial, uplift_map


@pytest.fixture(scope="module")
def examples() -> Examples:
    return examples_of(customers(4_000).table, propensity_map(), "customers.csv")


@pytest.fixture(scope="module")
def model(examples: Examples) -> Model:
    return train(examples)


@pytest.fixture(scope="module")
def offered() -> Examples:
    return examples_of(trial(4_000).table, uplift_map(), "trial.csv")


@pytest.fixture(scope="module")
def uplift(offered: Examples) -> Model:
    return train(offered)


@pytest.mark.parametrize("kind", ["propensity", "uplift"])
def test_contributions_add_up_to_the_raw_score_of_every_row(
    kind: str, model: Model, examples: Examples, uplift: Model, offered: Examples
) -> None:
    asked, matrix = (model, examples.matrix) if kind == "propensity" else (uplift, offered.matrix)

    found = contributions_of(asked, matrix)

    assert found.shape == (4_000, len(asked.features) + 1)
    assert found.sum(axis=1) == pytest.approx(raw_scores_of(asked, matrix), abs=1e-9)


cell = st.one_of(st.floats(-10, 10), st.just(math.nan))


@given(st.tuples(cell, cell, st.sampled_from([0.0, 1.0, 2.0, math.nan]), cell), st.integers(1, 4))
@settings(deadline=None, max_examples=50)
def test_top_and_rest_add_up_to_the_score_whatever_the_row_and_however_many_are_told(
    model: Model, row: tuple[float, ...], top: int
) -> None:
    [found] = reasons_of(model, np.array([row]), top)

    assert len(found.top) == top
    total = found.base + sum(each.contribution for each in found.top) + found.rest
    assert total == pytest.approx(found.raw_score, abs=1e-9)
    assert 1 / (1 + math.exp(-total)) == pytest.approx(found.score, abs=1e-9)
    sizes = [abs(each.contribution) for each in found.top]
    assert sizes == sorted(sizes, reverse=True)


def test_what_was_planted_is_what_is_told(model: Model) -> None:
    # Visits raise the score, the basic plan and no noise lower it.
    [many, few] = reasons_of(model, np.array([[2.5, 0, 2, 30], [-2.5, 0, 0, 30]]))

    assert many.top[0].feature == few.top[0].feature == "visits"
    assert many.top[0].value == 2.5
    assert many.top[0].contribution > 1 > -1 > few.top[0].contribution
    of_few = {each.feature: each for each in few.top}
    assert of_few["plan"].value == "basic"
    assert of_few["plan"].contribution < -0.1
    assert abs(of_few["noise"].contribution) < 0.1


def test_a_calibration_changes_the_score_and_not_what_the_trees_go_by(model: Model) -> None:
    curve = PlattCurve(slope=0.5, intercept=-1)
    calibrated = Model(model.features, {"model": replace(model.trees["model"], curve=curve)})
    row = np.array([[1.0, 0, 1, 12]])

    [plain], [found] = reasons_of(model, row), reasons_of(calibrated, row)

    assert found.top == plain.top
    assert found.raw_score == plain.raw_score
    assert found.score < plain.score


def test_values_are_told_as_what_they_stand_for() -> None:
    plan = Feature(name="plan", kind="category", categories=("basic", "duo"))

    assert value_of(plan, 1.0) == "duo"
    assert value_of(plan, math.nan) is None
    assert str(value_of(Feature(name="since", kind="day"), 20_000.25)) == "2024-10-04"
    assert value_of(Feature(name="visits", kind="number"), 2.0) == 2.0
    assert Contribution("plan", None, 0.0).value is None


def test_the_most_important_feature_is_the_one_that_decides_and_the_score_moves_with_it(
    model: Model, examples: Examples
) -> None:
    held_out = examples.held_out

    found = insights_of(model, examples.matrix[held_out], examples.outcomes[held_out], None)

    assert found.importance[0].feature == "visits"
    assert {each.feature for each in found.importance} == {"visits", "noise", "plan", "tenure"}
    by_feature = {each.feature: each.points for each in found.dependence}
    visits = by_feature["visits"]
    assert visits[0].value < -1 < 1 < visits[-1].value  # type: ignore[operator]
    assert visits[-1].score - visits[0].score > 0.3
    assert [each.value for each in by_feature["plan"]] == ["basic", "duo", "family"]
    assert found.qini is None
    assert found == insights_of(model, examples.matrix[held_out], examples.outcomes[held_out], None)


def test_a_qini_curve_ends_where_all_are_treated(uplift: Model, offered: Examples) -> None:
    assert offered.is_treated is not None

    found = insights_of(uplift, offered.matrix, offered.outcomes, offered.is_treated).qini

    assert found is not None
    assert [(found[0].share, found[0].gained), len(found)] == [(0.0, 0.0), 21]
    treated = offered.is_treated
    effect = offered.outcomes[treated].mean() - offered.outcomes[~treated].mean()
    assert found[-1].share == 1
    assert found[-1].gained == pytest.approx(effect)
    # The half that it helps most gains more than half.
    assert found[10].gained > found[-1].gained / 2
