"""What is planted in the company can be found by the models that learn from it, as well as anything can."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from local.company import CompanySpec
from local.company.planted import planted_truth
from scoring.declared import load_models
from scoring.training import Lesson
from segments.source import load_rules
from tests.dbt.training_rows import model
from tests.local.company.planted_examples import examples

END = date(2026, 4, 30)
DECLARED = load_models()
RULES = load_rules().rules


@pytest.fixture(scope="module")
def truth() -> pa.Table:
    return planted_truth(CompanySpec(16_000, 130, 1, END, plants_behaviour=True))


def held_back(lesson: Lesson, column: str) -> np.ndarray[Any, Any]:
    return np.asarray(lesson._table[column].to_pylist())[lesson.examples.held_out]


@pytest.mark.parametrize("name", ["trial_propensity", "churn_risk"])
def test_the_declared_propensities_rank_accounts_nearly_as_the_truth_does_and_are_calibrated(
    truth: pa.Table, name: str
) -> None:
    lesson = Lesson(DECLARED[name], examples(truth, DECLARED[name]), RULES)

    found = lesson.judge(lesson.train(), {}).evaluation

    best = roc_auc_score(held_back(lesson, "outcome"), held_back(lesson, "probability"))
    assert 0.65 < best - 0.02 < found.quality.auc
    assert found.calibration is not None
    assert 0.9 <= found.calibration.slope <= 1.1


def test_an_uplift_finds_whom_the_offer_helps_and_whom_it_harms() -> None:
    offered = planted_truth(CompanySpec(30_000, 70, 2, END, plants_behaviour=True))
    declared = model(
        "trial_offer_uplift", "trial_started", 14, kind="uplift",
        features=["market", "birth_year_band", "streams_28d"],
        training={"days": 90, "holdout_days": 14, "every": 1}, minimum={"rows": 100, "events": 40, "qini": 0},
        algorithm={"num_leaves": 4, "min_data_in_leaf": 100},
        treatment={"experiment": "paywall-free-month", "control": "control", "treated": ["treatment"]},
    )  # fmt: skip
    lesson = Lesson(declared, examples(offered, declared, since=0), [])

    scores = lesson.train().scores(lesson.examples.matrix[lesson.examples.held_out])

    group = held_back(lesson, "offer_group")
    means = [scores[group == each].mean() for each in ("harmed", "indifferent", "helped")]
    assert means == sorted(means)
    # Offered to the best three tenths, the offer brings nine tenths of what it could bring there.
    effect = held_back(lesson, "probability_treated") - held_back(lesson, "probability_control")
    offered = len(scores) * 3 // 10
    earned = effect[np.argsort(-scores, kind="stable")[:offered]].sum()
    assert earned >= 0.9 * np.sort(effect)[::-1][:offered].sum()
