"""What is planted in the company can be found by the models that learn from it, as well as anything can."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.metrics import roc_auc_score

from local.company import CompanySpec
from local.company.planted import planted_truth
from local.company.planted_behaviour import FEATURE_DAYS
from scoring.declaration import ModelDeclaration
from scoring.training import Lesson
from tests.dbt.training_rows import model

END = date(2026, 4, 30)
FEATURES = ["market", "birth_year_band", "streams_28d", "subscription_tenure_days"]


def examples(truth: pa.Table, declared: ModelDeclaration, first: int = 0) -> pa.Table:
    """Rows of the truth as a training on the last day has them, from the window's day ``first`` on."""
    rows = truth.filter(pc.equal(truth["model_name"], declared.name))
    day = pc.days_between(pc.min(truth["feature_date"]), rows["feature_date"]).to_numpy(False)
    age = pc.days_between(rows["feature_date"], pc.max(rows["feature_date"])).to_numpy(False)
    training, within = declared.training, declared.target.within_days
    is_held_back = age < training.holdout_days
    wanted = (is_held_back | (age >= training.holdout_days + within)) & (age % training.every == 0)
    rows = rows.append_column("is_held_back", pa.array(is_held_back))
    rows = rows.append_column("weight", pa.array(np.ones(len(age))))
    return rows.filter(pa.array(wanted & (day >= first)))


def held_back(lesson: Lesson, column: str) -> np.ndarray[Any, Any]:
    return np.asarray(lesson._table[column].to_pylist())[lesson.examples.held_out]


def test_propensities_rank_accounts_nearly_as_their_true_probabilities_do() -> None:
    truth = planted_truth(CompanySpec(16_000, 130, 1, END, plants_behaviour=True))
    weekly = {"days": 90, "holdout_days": 14, "every": 7}
    for name, event, within in (("trial_propensity", "trial_started", 14), ("churn_risk", "churned", 30)):
        declared = model(name, event, within, features=FEATURES, training=weekly, calibration="platt")
        # Sums of four weeks are whole after four weeks.
        lesson = Lesson(declared, examples(truth, declared, first=FEATURE_DAYS), [])

        found = lesson.judge(lesson.train(), {}).evaluation.quality.auc

        best = roc_auc_score(held_back(lesson, "outcome"), held_back(lesson, "probability"))
        assert 0.65 < best - 0.02 < found


def test_an_uplift_finds_whom_the_offer_helps_and_whom_it_harms() -> None:
    truth = planted_truth(CompanySpec(30_000, 70, 2, END, plants_behaviour=True))
    declared = model(
        "trial_offer_uplift", "trial_started", 14, features=FEATURES[:3], kind="uplift",
        training={"days": 90, "holdout_days": 14, "every": 1}, minimum={"rows": 100, "events": 40, "qini": 0},
        algorithm={"num_leaves": 4, "min_data_in_leaf": 100},
        treatment={"experiment": "paywall-free-month", "control": "control", "treated": ["treatment"]},
    )  # fmt: skip
    lesson = Lesson(declared, examples(truth, declared), [])

    scores = lesson.train().scores(lesson.examples.matrix[lesson.examples.held_out])

    group = held_back(lesson, "offer_group")
    means = [scores[group == each].mean() for each in ("harmed", "indifferent", "helped")]
    assert means == sorted(means)
    # Offered to the best three tenths, the offer brings nine tenths of what it could bring there.
    effect = held_back(lesson, "probability_treated") - held_back(lesson, "probability_control")
    offered = len(scores) * 3 // 10
    earned = effect[np.argsort(-scores, kind="stable")[:offered]].sum()
    assert earned >= 0.9 * np.sort(effect)[::-1][:offered].sum()
