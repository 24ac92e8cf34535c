"""What is measured of a model decides whether it may be used; nothing is retired by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.artifact import read_description
from scoring.decision import blocked
from scoring.model import Model
from scoring.training import Lesson
from tests.scoring.planted_examples import AS_OF, listeners, propensity, trial, uplift

DRIFT = "population stability of streams_28d: 0.410, above 0.250 (1,350 rows)"


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return Lesson(propensity(shadow_days=7), listeners(400).table, [])


@pytest.fixture(scope="module")
def candidate(lesson: Lesson) -> Model:
    return lesson.train()


def test_a_candidate_that_has_drifted_stays_in_shadow_and_is_told_why(
    lesson: Lesson, candidate: Model
) -> None:
    free = lesson.judge(candidate, {}, shadow_days=7).verdict
    held = blocked(free, [DRIFT])

    assert free.decision == "promoted"
    assert held.decision == "shadow"
    assert held.reasons[-2:] == ("was in shadow for 7 days, of 7 asked", f"is not used while {DRIFT}")
    assert blocked(free, []) == free


def test_predictions_of_days_that_are_over_are_held_against_what_happened(
    lesson: Lesson, candidate: Model
) -> None:
    found = {each.measure: each for each in lesson.matured(candidate)}

    assert {name: each.level for name, each in found.items()} == {
        "calibration_bias": "ok", "calibration_slope": "ok",
    }  # fmt: skip
    # Two feature days of every account.
    assert found["calibration_slope"].rows == 800


def test_an_uplift_has_no_outcome_of_its_own_to_be_calibrated_by() -> None:
    lesson = Lesson(uplift(), trial(4_000).table, [])

    assert lesson.matured(lesson.train()) == []


def test_quality_is_told_by_market_age_and_tenure_of_the_held_back_days(
    lesson: Lesson, candidate: Model, tmp_path: Path
) -> None:
    judged = lesson.judge(candidate, {})

    found = read_description(lesson.keep(tmp_path, candidate, judged, AS_OF)).insights.slices

    by_market = [each for each in found if each.by == "market"]
    assert [each.value for each in by_market] == ["DE", "SE", "US"]
    assert sum(each.rows for each in by_market) == 800
    # The planted truth: fewer trials in Germany.
    assert by_market[0].predicted < by_market[1].predicted - 0.05
    # The model goes by no age, which is told all the same.
    by_age = {each.value: each.rows for each in found if each.by == "age band"}
    assert by_age == {"1970-1989": 268, "1990-1999": 266, "unknown": 266}
    assert {each.by for each in found} == {"market", "age band", "tenure"}
