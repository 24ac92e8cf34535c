"""From which day on nobody has scores of a model that somebody retired or rolled back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal

from loaders.scoring.ended import ended
from loaders.scoring.scored import NOBODY_SCORED, ScoredDay
from loaders.scoring.scores import DayOfScores
from scoring.registry import ModelDecision

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (2, 3, 4))
SUNDAY = date(2026, 3, 1)
Decided = Literal["promoted", "retired", "rolled_back"]


A, B = ScoredDay("a", max_age_days=2), ScoredDay("b")


def decided(day: date, decision: Decided, artifact: str, version: int = 1) -> ModelDecision:
    return ModelDecision(
        model="churn_risk",
        version=version,
        artifact=artifact,
        artifact_uri=f"gs://models/churn_risk/{artifact}",
        decision=decision,
        reasons=("because",),
        day=day,
        decided_at=datetime(2026, 3, day.day + 1, 9, tzinfo=UTC),
        decided_by="kim",
    )


A_IN_USE = decided(SUNDAY, "promoted", "a")
B_IN_ITS_PLACE = decided(MONDAY, "promoted", "b", version=2)


def test_a_retired_models_scores_end_on_the_day_of_the_decision_and_once() -> None:
    history = [A_IN_USE, decided(TUESDAY, "retired", "a")]
    scored = {"churn_risk": {SUNDAY: A, MONDAY: A}}

    assert ended(history, [MONDAY, TUESDAY, WEDNESDAY], scored) == [DayOfScores("churn_risk", 1, TUESDAY)]
    scored["churn_risk"][TUESDAY] = ScoredDay(NOBODY_SCORED)
    assert ended(history, [WEDNESDAY], scored) == []


def test_they_end_on_a_day_that_was_published_with_them_only_the_day_after() -> None:
    history = [A_IN_USE, decided(MONDAY, "retired", "a")]

    assert ended(history, [TUESDAY], {"churn_risk": {MONDAY: A}}) == [DayOfScores("churn_risk", 1, TUESDAY)]


def test_a_day_that_was_scored_this_morning_is_not_after_all() -> None:
    history = [A_IN_USE, decided(TUESDAY, "retired", "a")]

    assert ended(history, [TUESDAY], {"churn_risk": {TUESDAY: A}}) == [DayOfScores("churn_risk", 1, TUESDAY)]


def test_a_model_that_was_rolled_back_does_not_decide_while_the_one_before_cannot_score() -> None:
    history = [A_IN_USE, B_IN_ITS_PLACE, decided(TUESDAY, "rolled_back", "b", version=2)]

    assert ended(history, [TUESDAY], {"churn_risk": {SUNDAY: A, MONDAY: B}}) == [
        DayOfScores("churn_risk", 2, TUESDAY)
    ]
    assert ended(history, [TUESDAY], {"churn_risk": {MONDAY: B, TUESDAY: A}}) == []


def test_a_model_that_another_took_the_place_of_decides_until_that_one_can_score() -> None:
    scored = {"churn_risk": {SUNDAY: ScoredDay("a")}}

    assert ended([A_IN_USE, B_IN_ITS_PLACE], [MONDAY, TUESDAY], scored) == []


def test_a_model_that_never_scored_has_nothing_to_end() -> None:
    assert ended([A_IN_USE, decided(MONDAY, "retired", "a")], [MONDAY], {}) == []


def test_scores_of_a_model_that_fails_every_morning_end_at_their_declared_age_and_once() -> None:
    scored = {"churn_risk": {SUNDAY: A}}

    # Of two days: Sunday and Monday.
    assert ended([A_IN_USE], [MONDAY], scored) == []
    assert ended([A_IN_USE], [TUESDAY, WEDNESDAY], scored) == [DayOfScores("churn_risk", 1, TUESDAY)]
    assert ended([A_IN_USE], [WEDNESDAY], {"churn_risk": {SUNDAY: A, TUESDAY: A}}) == []
    # Rules alone say how long they take scores of which no age is known.
    assert ended([A_IN_USE], [WEDNESDAY], {"churn_risk": {SUNDAY: ScoredDay("a")}}) == []
