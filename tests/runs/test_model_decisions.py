"""From examples to a model in use: what is decided, by whom, why, and from which day on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loaders.scoring.measures import newest_measures
from loaders.scoring.registry import decisions, record, states_on
from loaders.warehouse.client import warehouse_of
from local.company import CompanySpec
from local.company.planted import planted_truth
from runs.model_decisions import ModelDecisionError, promote, retire, rollback
from runs.training import UnknownModelError, declared_models, due, train_each, train_models, train_on
from runs.training_examples import TrainingError
from scoring.declared import load_models
from scoring.registry import ModelDecision
from segue.settings import Settings
from tests.local.company.planted_examples import examples
from tests.runs.published_features import features, publish_features
from tests.runs.scored_days import scored_in_shadow
from tests.scoring.planted_examples import AS_OF, listeners, propensity

NAME = "trial_propensity"
WEEKLY = [AS_OF + timedelta(days=7 * week) for week in range(5)]
_BY = "train_models"


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("models")
    found = world("model_decisions").model_copy(update={"models_uri": str(folder)})
    publish_features(found, *map(features, WEEKLY))
    return found


@pytest.fixture(scope="module")
def trained(settings: Settings) -> list[list[ModelDecision]]:
    """Four weeks of trainings; the last has hardly any examples."""
    planted = [listeners(1_500, week, as_of).table for week, as_of in enumerate(WEEKLY[:3])]
    planted.append(listeners(20, 3, WEEKLY[3]).table)
    first = train_on(settings, WEEKLY[0], propensity(), planted[0], _BY)
    scored_in_shadow(settings, first[1], WEEKLY[0] + timedelta(days=1), WEEKLY[2])
    return [
        first,
        *(
            train_on(settings, day, propensity(), each, _BY)
            for day, each in zip(WEEKLY[1:], planted[1:], strict=False)
        ),
    ]


def kinds(found: list[ModelDecision]) -> list[str]:
    return [each.decision for each in found]


def test_a_model_is_in_shadow_before_it_is_used_and_another_has_to_be_better(
    trained: list[list[ModelDecision]],
) -> None:
    first, second, third, fourth = trained

    assert kinds(first) == ["trained", "shadow"]
    assert kinds(second) == ["shadow", "trained", "refused"]
    assert second[2].reasons[0].startswith("is not better than the candidate in shadow beyond noise")
    assert kinds(third) == ["promoted", "trained", "refused"]
    assert third[0].artifact == first[0].artifact
    assert third[2].reasons[0].startswith("is not better than the model in use beyond noise")
    assert kinds(fourth) == ["refused"]
    assert fourth[0].artifact == ""
    assert fourth[0].reasons[0].startswith("examples of trial_propensity: the held-back days: 40 rows")
    assert {each.decided_by for found in trained for each in found} == {_BY}


def test_a_candidate_is_judged_again_by_outcomes_that_nobody_knew_when_it_was_chosen(
    trained: list[list[ModelDecision]],
) -> None:
    """Held back were 10 and 17 March, whose outcomes are over on the 31st."""
    first, waits, later = trained[0][1], trained[1][0], trained[2][0]

    assert first.metrics["judged_by"] == {"from": "2026-03-10", "to": "2026-03-17"}
    assert (waits.artifact, waits.metrics) == (first.artifact, {})
    assert waits.reasons == (
        "was in shadow for 7 days, of 7 asked",
        "waits for examples of trial_propensity: the held-back days from 2026-03-31 on, whose outcomes no "
        "judgement of it has seen: 0 rows, 0 of them positive; each outcome is needed 20 times at least",
    )
    assert later.metrics["judged_by"] == {"from": "2026-03-31", "to": "2026-03-31"}
    assert later.metrics["held_out"] == 1_500


def test_what_is_planted_is_chosen_and_shuffled_labels_are_refused(settings: Settings) -> None:
    """By the company's truth, and the declaration as it is shipped."""
    model, end = load_models()["churn_risk"], date(2026, 4, 30)
    truth = planted_truth(CompanySpec(5_000, 160, 2, end, plants_behaviour=True))
    noise = truth.set_column(
        truth.schema.get_field_index("outcome"),
        "outcome",
        pa.array(np.random.default_rng(4).permutation(truth["outcome"].to_numpy(False))),
    )
    days = [end - timedelta(days=7), end]
    known = [day - timedelta(days=model.target.within_days) for day in days]

    refused = train_on(settings, days[0], model, examples(noise, model, until=known[0]), _BY)
    found = train_on(settings, days[1], model, examples(truth, model, until=known[1]), _BY)

    assert (kinds(refused), kinds(found)) == (["trained", "refused"], ["trained", "shadow"])
    assert any(each.startswith("is not better than prevalence beyond noise") for each in refused[1].reasons)
    assert any(each.startswith("is better than heuristic of cancel_save") for each in found[1].reasons)


def test_a_day_has_what_was_decided_by_its_end(
    settings: Settings, trained: list[list[ModelDecision]]
) -> None:
    warehouse = warehouse_of(settings)

    before = states_on(warehouse, WEEKLY[2] - timedelta(days=1))[NAME]
    assert (before.in_use, before.in_shadow) == (None, trained[0][1])
    assert states_on(warehouse, WEEKLY[3])[NAME].in_use == trained[2][0]


@pytest.mark.usefixtures("trained")
def test_the_same_examples_decide_nothing_a_second_time(settings: Settings) -> None:
    before = decisions(warehouse_of(settings), WEEKLY[4], NAME)

    for week, accounts in ((2, 1_500), (3, 20)):
        table = listeners(accounts, week, WEEKLY[week]).table
        assert train_on(settings, WEEKLY[week], propensity(), table, _BY) == []

    assert decisions(warehouse_of(settings), WEEKLY[4], NAME) == before


def test_why_examples_are_refused_tells_nobody_what_stands_in_a_row(settings: Settings) -> None:
    table = listeners(600).table
    place, name = table.column_names.index("streams_28d"), "streams_28d"
    words = table.set_column(place, name, pa.array(["anna berg"] * len(table)))

    [refused] = train_on(settings, AS_OF, propensity(name="of_words"), words, _BY)

    assert refused.decision == "refused"
    first, *_ = refused.reasons[0].splitlines()
    assert first == "examples of of_words: row 1: column streams_28d: '…' is no number"
    assert "anna" not in str(refused.reasons)


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

    assert not due(settings, WEEKLY[2] + timedelta(days=6), models)
    assert due(settings, WEEKLY[2] + timedelta(days=7), models) == models


def test_a_model_is_due_when_its_candidate_can_be_judged_again(settings: Settings) -> None:
    """Its days in shadow are over after one; the outcomes that it was chosen by, after fourteen."""
    training = {"days": 60, "holdout_days": 14, "refresh_days": 28}
    model = propensity(name="seldom_trained", shadow_days=1, training=training)
    _, shadow = train_on(settings, WEEKLY[0], model, listeners(600).table, _BY)
    scored_in_shadow(settings, shadow, WEEKLY[0] + timedelta(days=1), WEEKLY[2])

    assert not due(settings, WEEKLY[0] + timedelta(days=13), {model.name: model})
    assert due(settings, WEEKLY[0] + timedelta(days=14), {model.name: model})


def test_a_candidate_that_has_scored_too_few_days_stays_in_shadow(settings: Settings) -> None:
    """A backfill's candidate has scored no day that was published before, and one that fails none at all."""
    model, table = propensity(name="seldom_scored"), listeners(600).table
    _, shadow = train_on(settings, WEEKLY[0], model, table, _BY)
    scored_in_shadow(settings, shadow, WEEKLY[0] + timedelta(days=1), WEEKLY[1] - timedelta(days=1))
    scored_in_shadow(settings, shadow, WEEKLY[1], WEEKLY[2], failed="no such folder")

    assert not due(settings, WEEKLY[0] + timedelta(days=6), {model.name: model})
    found = train_on(settings, WEEKLY[2], model, table, _BY)

    assert kinds(found) == ["trained", "refused"]
    state = states_on(warehouse_of(settings), WEEKLY[2])[model.name]
    assert (state.in_use, state.in_shadow) == (None, shadow)


def test_of_a_day_before_another_decision_there_is_a_model_and_no_more(settings: Settings) -> None:
    model = propensity(name="backfilled", shadow_days=0)
    used = train_on(settings, WEEKLY[1], model, listeners(600, 1).table, _BY)

    found = train_on(settings, WEEKLY[0], model, listeners(600, 2).table, _BY)

    assert (kinds(used), kinds(found)) == (["trained", "promoted"], ["trained"])
    assert found[0].reasons == (
        "of 4,800 examples", "a later day has a decision: nothing follows from this one by itself",
    )  # fmt: skip
    assert states_on(warehouse_of(settings), WEEKLY[0])[model.name].in_use is None
    state = states_on(warehouse_of(settings), WEEKLY[1])[model.name]
    assert (state.in_use, state.before) == (used[1], ())


def test_a_candidate_of_an_older_version_is_refused_as_what_it_was(settings: Settings) -> None:
    table = listeners(600).table
    _, shadow = train_on(settings, WEEKLY[0], propensity(name="renewed"), table, _BY)
    scored_in_shadow(settings, shadow, WEEKLY[0] + timedelta(days=1), WEEKLY[1])

    found = train_on(settings, WEEKLY[1], propensity(name="renewed", version=2), table, _BY)

    assert [(each.decision, each.version) for each in found] == [
        ("refused", 1), ("trained", 2), ("shadow", 2),
    ]  # fmt: skip
    assert (found[0].artifact, found[0].data_digest) == (shadow.artifact, shadow.data_digest)
    assert found[0].reasons == ("was trained by version 1 of its declaration, which is 2 now",)


def test_a_candidate_whose_place_a_better_one_takes_has_a_decision_of_its_own(settings: Settings) -> None:
    # What the first goes by is half of what decides.
    table, half = listeners(1_500).table, propensity(name="displaced", features=["streams_28d"])
    _, first = train_on(settings, WEEKLY[0], half, table, _BY)

    found = train_on(settings, WEEKLY[0] + timedelta(days=1), propensity(name="displaced"), table, _BY)

    assert [(each.decision, each.artifact == first.artifact) for each in found] == [
        ("trained", False), ("refused", True), ("shadow", False),
    ]  # fmt: skip
    assert found[1].reasons == (f"{found[2].artifact} is better, and is in shadow in its place",)


def test_a_model_in_use_is_measured_by_what_it_was_asked_and_by_nothing_else(settings: Settings) -> None:
    warehouse, table = warehouse_of(settings), listeners(600).table
    (_, used) = train_on(settings, WEEKLY[0], propensity(name="asked_anew", shadow_days=0), table, _BY)
    other = {"event": "churned", "within_days": 14}

    train_on(settings, WEEKLY[1], propensity(name="asked_anew", version=2, target=other), table, _BY)
    assert newest_measures(warehouse, used.artifact, WEEKLY[1]) == []

    train_on(settings, WEEKLY[2], propensity(name="asked_anew", version=3), table, _BY)
    assert {each.measure for each in newest_measures(warehouse, used.artifact, WEEKLY[2])} == {
        "calibration_bias", "calibration_slope",
    }  # fmt: skip


def test_a_day_that_is_not_published_is_no_finding_about_a_model(settings: Settings) -> None:
    with pytest.raises(TrainingError, match="2026-05-31 is not published, and nobody is known of whom"):
        train_models(settings, date(2026, 5, 31), ["trial_offer_uplift"])

    assert decisions(warehouse_of(settings), date.max, "trial_offer_uplift") == []


def test_a_person_promotes_rolls_back_and_retires_with_a_reason(
    settings: Settings, trained: list[list[ModelDecision]]
) -> None:
    on, first, second = WEEKLY[4], trained[0][0].artifact, trained[1][1].artifact

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


def test_what_nobody_knows_is_named(settings: Settings, trained: list[list[ModelDecision]]) -> None:
    train_on(settings, WEEKLY[0], propensity(name="another"), listeners(600).table, _BY)
    of_another = trained[0][0].artifact
    with pytest.raises(UnknownModelError, match=f"another has no trained model {of_another}"):
        promote(settings, "another", of_another, WEEKLY[4], "why not", "kim")
    with pytest.raises(UnknownModelError, match="trial_propensity has no trained model ffffffffffff"):
        promote(settings, NAME, "ffffffffffff", WEEKLY[4], "why not", "kim")
    with pytest.raises(UnknownModelError, match="no model was trained by the name household_size"):
        retire(settings, "household_size", date(2026, 4, 1), "why not", "kim")
    with pytest.raises(UnknownModelError, match="household_size is not declared; there are churn_risk, "):
        declared_models(settings, ["household_size"])


def test_another_folder_of_declarations_counts_instead(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "only.yml").write_text(
        propensity(name="only").model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)
    )

    assert list(declared_models(settings.model_copy(update={"models_dir": tmp_path}))) == ["only"]
