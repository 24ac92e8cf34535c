"""What scores accounts on a day follows from the decisions up to that day, and from nothing later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from scoring.registry import DecisionKind, ModelDecision, states

FIRST = date(2026, 3, 1)


def decided(day: int, decision: DecisionKind, artifact: str, *, minute: int = 0) -> ModelDecision:
    """A decision on a day of March 2026."""
    return ModelDecision(
        model="churn_risk",
        version=1,
        artifact=artifact,
        artifact_uri=f"gs://models/churn_risk/{artifact}",
        decision=decision,
        reasons=("because",),
        day=FIRST + timedelta(days=day - 1),
        decided_at=datetime(2026, 3, day, 9, minute, tzinfo=UTC),
        decided_by="train_models",
    )


def used(decisions: list[ModelDecision], day: int) -> tuple[str | None, str | None]:
    """What is in use and what in shadow."""
    state = states(decisions, FIRST + timedelta(days=day - 1)).get("churn_risk")
    if state is None:
        return None, None
    return (
        None if state.in_use is None else state.in_use.artifact,
        None if state.in_shadow is None else state.in_shadow.artifact,
    )


def test_a_candidate_is_in_shadow_before_it_is_used() -> None:
    history = [decided(1, "trained", "a"), decided(1, "shadow", "a", minute=1), decided(8, "promoted", "a")]

    assert [used(history, day) for day in (1, 7, 8)] == [(None, "a"), (None, "a"), ("a", None)]


def test_what_is_in_use_stays_so_while_another_is_in_shadow() -> None:
    history = [decided(1, "promoted", "a"), decided(2, "shadow", "b"), decided(4, "refused", "b")]

    assert [used(history, day) for day in (2, 4)] == [("a", "b"), ("a", None)]


def test_a_candidate_is_in_shadow_since_the_first_time_and_a_newer_one_begins_anew() -> None:
    history = [decided(1, "shadow", "a"), decided(5, "shadow", "a"), decided(6, "shadow", "b")]

    def since(history: list[ModelDecision]) -> date | None:
        shadow = states(history, FIRST + timedelta(days=7))["churn_risk"].in_shadow
        return None if shadow is None else shadow.day

    assert since(history[:2]) == date(2026, 3, 1)
    assert since(history) == date(2026, 3, 6)


def test_a_rollback_goes_back_one_model_at_a_time() -> None:
    history = [
        decided(1, "promoted", "a"),
        decided(2, "promoted", "b"),
        decided(3, "promoted", "c"),
        decided(4, "rolled_back", "c"),
        decided(5, "rolled_back", "b"),
        decided(6, "rolled_back", "a"),
    ]

    assert [used(history, day)[0] for day in range(1, 7)] == ["a", "b", "c", "b", "a", None]


def test_nothing_is_in_use_once_a_model_is_retired_until_the_next_is_promoted() -> None:
    history = [decided(1, "promoted", "a"), decided(3, "retired", "a"), decided(5, "promoted", "b")]

    assert [used(history, day)[0] for day in (2, 3, 5)] == ["a", None, "b"]


def test_a_retirement_ends_the_shadow_too_until_somebody_has_the_model_trained_again() -> None:
    history = [
        decided(1, "promoted", "a"),
        decided(2, "shadow", "b"),
        decided(3, "retired", "a"),
        decided(10, "trained", "c"),
        decided(11, "shadow", "c"),
    ]

    assert [used(history, day) for day in (2, 3, 11)] == [("a", "b"), (None, None), (None, "c")]
    on = [FIRST + timedelta(days=day - 1) for day in (2, 3, 10, 11)]
    assert [states(history, day)["churn_risk"].is_retired for day in on] == [False, True, True, False]


def test_a_decision_about_a_model_that_is_not_in_use_takes_none_out_of_it() -> None:
    history = [decided(1, "promoted", "a"), decided(2, "promoted", "b"), decided(3, "rolled_back", "a")]

    assert used(history, 3)[0] == "b"


_DECISIONS = st.builds(
    decided, st.integers(1, 28), st.sampled_from(get_args(DecisionKind)), st.sampled_from("abc"),
    minute=st.integers(0, 59),
)  # fmt: skip


@given(
    history=st.lists(_DECISIONS, max_size=8), later=st.lists(_DECISIONS, max_size=4), day=st.integers(1, 28)
)
def test_no_later_decision_changes_what_a_day_had(
    history: list[ModelDecision], later: list[ModelDecision], day: int
) -> None:
    after = [each for each in later if each.day > FIRST + timedelta(days=day - 1)]

    assert used([*history, *after], day) == used(history, day)
