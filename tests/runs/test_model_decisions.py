"""From examples to a model in use: what is decided, by whom, why, and from which day on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from loaders.scoring.registry import decisions, in_use, record, states_on
from loaders.warehouse.client import warehouse_of
from runs.model_decisions import ModelDecisionError, promote, retire, rollback
from runs.rivals import with_columns_of_rivals
from runs.training import (
    TrainingError,
    UnknownModelError,
    declared_models,
    due,
    train_each,
    train_on,
)
from scoring.registry import ModelDecision
from segue.settings import Settings
from tests.scoring.planted_examples import AS_OF, listeners, propensity

NAME = "trial_propensity"
WEEKLY = [AS_OF + timedelta(days=7 * week) for week in range(4)]
_BY = "train_models"


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("models")
    return world("model_decisions").model_copy(update={"models_uri": str(folder)})


@pytest.fixture(scope="module")
def trained(settings: Settings) -> list[list[ModelDecision]]:
    """Three weeks of trainings; the third has hardly any examples."""
    examples = [listeners(accounts, seed) for accounts, seed in ((1_500, 1), (1_500, 2), (20, 3))]
    return [
        train_on(settings, day, propensity(), each.table, _BY)
        for day, each in zip(WEEKLY, examples, strict=False)
    ]


def kinds(found: list[ModelDecision]) -> list[str]:
    return [each.decision for each in found]


def test_a_model_is_in_shadow_before_it_is_used_and_another_has_to_be_better(
    trained: list[list[ModelDecision]],
) -> None:
    first, second, third = trained

    assert kinds(first) == ["trained", "shadow"]
    assert kinds(second) == ["promoted", "trained", "refused"]
    assert second[0].artifact == first[0].artifact
    assert second[2].reasons[0].startswith("is not better than the model in use beyond noise")
    assert kinds(third) == ["refused"]
    assert third[0].artifact == ""
    assert third[0].reasons[0].startswith("examples of trial_propensity: the held-back days: 40 rows")
    assert {each.decided_by for found in trained for each in found} == {_BY}


def test_a_day_has_what_was_decided_by_its_end(
    settings: Settings, trained: list[list[ModelDecision]]
) -> None:
    warehouse = warehouse_of(settings)

    assert in_use(warehouse, WEEKLY[1] - timedelta(days=1)) == {}
    assert in_use(warehouse, WEEKLY[2])[NAME].artifact == trained[0][0].artifact


@pytest.mark.usefixtures("trained")
def test_the_same_examples_decide_nothing_a_second_time(settings: Settings) -> None:
    before = decisions(warehouse_of(settings), WEEKLY[3], NAME)

    assert train_on(settings, WEEKLY[1], propensity(), listeners(1_500, 2).table, _BY) == []
    assert train_on(settings, WEEKLY[2], propensity(), listeners(20, 3).table, _BY) == []

    assert decisions(warehouse_of(settings), WEEKLY[3], NAME) == before


def test_a_model_that_cannot_be_trained_stops_no_other(settings: Settings) -> None:
    used = ModelDecision(
        model="gone",
        version=1,
        artifact="ff" * 32,
        artifact_uri=f"{settings.models_uri}/gone/{'ff' * 32}",
        decision="promoted",
        reasons=("was the best",),
        day=AS_OF - timedelta(days=7),
        decided_at=datetime(2026, 3, 25, tzinfo=UTC),
        decided_by=_BY,
    )
    record(warehouse_of(settings), [used])
    models, table = [propensity(name="gone"), propensity(name="whole")], listeners(600).table

    with pytest.raises(TrainingError) as error:
        train_each(settings, AS_OF, models, lambda _: table, _BY)

    assert str(error.value) == f"gone: model_artifact: {used.artifact_uri}: there is no model"
    warehouse = warehouse_of(settings)
    assert kinds(decisions(warehouse, AS_OF, "gone")) == ["promoted"]
    assert kinds(decisions(warehouse, AS_OF, "whole")) == ["trained", "shadow"]


@pytest.mark.usefixtures("trained")
def test_a_model_is_due_when_its_last_training_is_old(settings: Settings) -> None:
    models = {NAME: propensity()}

    assert not due(settings, WEEKLY[1] + timedelta(days=6), models)
    assert due(settings, WEEKLY[1] + timedelta(days=7), models) == models


@pytest.mark.usefixtures("trained")
def test_examples_have_what_the_model_in_use_goes_by(settings: Settings) -> None:
    newer = propensity(version=2, features=["streams_28d", "active_days_28d"])

    assert with_columns_of_rivals(settings, WEEKLY[0] - timedelta(days=1), newer) == newer
    assert with_columns_of_rivals(settings, WEEKLY[1], newer).features == [
        "streams_28d", "active_days_28d", "ad_ms_28d", "skips_blocked_28d", "tenure_days", "market",
    ]  # fmt: skip


def test_a_person_promotes_rolls_back_and_retires_with_a_reason(
    settings: Settings, trained: list[list[ModelDecision]]
) -> None:
    on, first, second = WEEKLY[3], trained[0][0].artifact, trained[1][1].artifact

    def used() -> str | None:
        state = states_on(warehouse_of(settings), on)[NAME]
        return None if state.in_use is None else state.in_use.artifact

    decided = promote(settings, NAME, second[:8], on, "the campaign needs the newer days", "kim")
    assert (decided.decision, decided.reasons, decided.decided_by) == (
        "promoted", ("the campaign needs the newer days",), "kim",
    )  # fmt: skip
    assert used() == second
    with pytest.raises(ModelDecisionError, match="is in use already"):
        promote(settings, NAME, second, on, "again", "kim")
    with pytest.raises(ModelDecisionError, match=f"{on} has a decision already; allowed: that day, or later"):
        retire(settings, NAME, on - timedelta(days=1), "too late", "kim")

    rollback(settings, NAME, on, "complaints", "kim")
    assert used() == first
    with pytest.raises(ModelDecisionError, match="there is no model before the one in use"):
        rollback(settings, NAME, on, "more complaints", "kim")

    retire(settings, NAME, on, "it is over", "kim")
    assert used() is None
    with pytest.raises(ModelDecisionError, match="none is in use"):
        retire(settings, NAME, on, "twice", "kim")
    assert not due(settings, on + timedelta(days=60), {NAME: propensity()})


@pytest.mark.usefixtures("trained")
def test_what_nobody_knows_is_named(settings: Settings) -> None:
    with pytest.raises(UnknownModelError, match="trial_propensity has no trained model ffffffffffff"):
        promote(settings, NAME, "ffffffffffff", WEEKLY[3], "why not", "kim")
    with pytest.raises(UnknownModelError, match="no model was trained by the name household_size"):
        retire(settings, "household_size", date(2026, 4, 1), "why not", "kim")
    with pytest.raises(UnknownModelError, match="household_size is not declared; there are churn_risk, "):
        declared_models(settings, ["household_size"])


def test_another_folder_of_declarations_counts_instead(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "only.yml").write_text(
        propensity(name="only").model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)
    )

    assert list(declared_models(settings.model_copy(update={"models_dir": tmp_path}))) == ["only"]
