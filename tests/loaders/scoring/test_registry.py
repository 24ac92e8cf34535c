"""Decisions about models are added to a table, and read as of a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from loaders.scoring.registry import decisions, record, states_on
from loaders.scoring.scored import ScoredDay, scored_until, shadow_days
from loaders.warehouse.client import Warehouse, warehouse_of
from scoring.registry import ModelDecision, ModelState
from segue.settings import Settings
from tests.runs.scored_days import scored, scored_in_shadow

TRAINED = ModelDecision(
    model="trial_propensity",
    version=2,
    artifact="ab" * 32,
    artifact_uri="gs://models/trial_propensity/" + "ab" * 32,
    decision="shadow",
    reasons=("AUC 0.71 on the held-back days; 0.60 is asked", 'better than the rule\'s own "heuristic"'),
    day=date(2026, 3, 1),
    decided_at=datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=UTC),
    decided_by="train_models 2026-03-01",
    metrics={"auc": 0.71, "baselines": {"prevalence": {"auc": 0.5}}},
    data_digest="cd" * 32,
)
PROMOTED = replace(
    TRAINED, decision="promoted", day=date(2026, 3, 8), decided_at=datetime(2026, 3, 9, 9, tzinfo=UTC)
)


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    return warehouse_of(world("registry"))


def test_a_decision_is_read_as_it_was_written_on_its_day_and_not_before(warehouse: Warehouse) -> None:
    assert states_on(warehouse, date(2026, 3, 8)) == {}

    record(warehouse, [TRAINED])
    record(warehouse, [PROMOTED, replace(TRAINED, model="churn_risk", metrics={}, data_digest=None)])

    assert decisions(warehouse, date(2026, 3, 8), "trial_propensity") == [TRAINED, PROMOTED]
    assert states_on(warehouse, date(2026, 3, 7))["trial_propensity"] == ModelState(in_shadow=TRAINED)
    on_day = states_on(warehouse, date(2026, 3, 8))
    assert {name: state.in_use for name, state in on_day.items()} == {
        "trial_propensity": PROMOTED, "churn_risk": None,
    }  # fmt: skip
    assert [name for name, state in on_day.items() if state.in_shadow is not None] == ["churn_risk"]
    assert decisions(warehouse, date(2026, 2, 28)) == []


def test_days_in_shadow_are_those_on_which_the_candidate_has_scored(
    warehouse: Warehouse,
) -> None:
    settings, states = warehouse.settings, {"trial_propensity": ModelState(in_shadow=TRAINED)}
    assert shadow_days(warehouse, states, date(2026, 3, 9)) == {"trial_propensity": 0}

    other = replace(TRAINED, artifact="ef" * 32)
    scored_in_shadow(settings, other, date(2026, 3, 1), date(2026, 3, 9))
    scored_in_shadow(settings, TRAINED, date(2026, 2, 27), date(2026, 3, 3))
    # A retry on the same day is the same day.
    scored_in_shadow(settings, TRAINED, date(2026, 3, 3), date(2026, 3, 3))
    scored_in_shadow(settings, TRAINED, date(2026, 3, 4), date(2026, 3, 7), failed="not done within 1800 s")
    scored_in_shadow(settings, TRAINED, date(2026, 3, 8), date(2026, 3, 12))

    assert shadow_days(warehouse, states, date(2026, 3, 9)) == {"trial_propensity": 5}
    assert shadow_days(warehouse, {"trial_propensity": ModelState(in_use=TRAINED)}, date(2026, 3, 9)) == {}


def test_of_a_day_that_was_scored_twice_the_last_scoring_counts_and_a_failure_is_none(
    warehouse: Warehouse,
) -> None:
    settings, (monday, tuesday) = warehouse.settings, (date(2026, 5, 4), date(2026, 5, 5))
    scored(settings, "churn_risk", "first", monday)
    scored(settings, "churn_risk", "second", monday)
    scored(settings, "churn_risk", "second", tuesday, failed="no number")

    assert scored_until(warehouse, tuesday, since=monday) == {"churn_risk": {monday: ScoredDay("second", 14)}}
