"""Trainings, looks at models and days, and a range that is built again, under Airflow's real scheduler.

After the story of ``conftest``, on its platform, with tasks run by the local executor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from loaders.scoring.artifacts import fetched
from loaders.scoring.registry import decisions
from loaders.warehouse.client import warehouse_of
from local import platform as local_platform
from local.airflow_client import AirflowClient, DagRun, TaskInstance
from local.platform import Platform
from local.services.airflow import SCHEDULER
from runs.steps import STEPS
from scoring.registry import ModelDecision
from tests.company_in_order import DAY, LAST_DAY
from tests.e2e.looking import chromium, new_page
from tests.e2e.orders import LOAD_DAG, SECOND_DAY, Story, all_failures
from tests.e2e.other_dags import (
    DAY_WATCH,
    DECLARED,
    MODEL,
    RANGE,
    TRAINING,
    WATCH,
    Asked,
    a_range_has_failed,
    ask,
    asked,
    incidents,
    kill_in_the_second_chunk,
    last_week_of_training,
    plant,
    publications_since,
    put_to_use,
    range_again,
    trials_planted,
)
from tests.e2e.pages import of_run, words
from tests.marts import Fingerprints, fingerprints
from tests.openlineage_receiver import Receiver, receiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]


@dataclass(frozen=True)
class Trained:
    """A training by hand as of the last day, and one of a week that was backfilled."""

    by_hand: Asked
    of_a_week: DagRun
    week: datetime
    decisions: list[ModelDecision]


@dataclass(frozen=True)
class RangeAgain:
    """The last two days built again in two chunks, of which the second was killed once."""

    dry: Asked
    refused: Asked
    told_of_refusal: list[tuple[str, date, bool]]
    done: Asked
    killed: TaskInstance
    publications: dict[tuple[date, str], int]


@dataclass(frozen=True)
class Watched:
    """Looks at the model in use: what was open after each."""

    by_publication: list[DagRun]
    opened: list[tuple[str, date, bool]]
    recovered: DagRun
    closed: list[tuple[str, date, bool]]


@pytest.fixture(scope="module")
def told() -> Iterator[Receiver]:
    """What Airflow's provider and our own steps tell of lineage."""
    with receiver() as kept:
        yield kept


@pytest.fixture(scope="module")
def scheduler(
    platform: Platform,
    airflow: AirflowClient,
    story: Story,  # noqa: ARG001 - after it
    told: Receiver,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowClient]:
    """One that tells of lineage, and knows a model that so small a company can train."""
    models = tmp_path_factory.mktemp("models")
    (models / f"{MODEL}.yml").write_text(DECLARED)
    airflow.pause(LOAD_DAG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
        patch.setenv("SEGUE_MODELS_DIR", str(models))
        patch.setenv("SEGUE_OPENLINEAGE_URL", told.url)
        patch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps({"type": "http", "url": told.url}))
        local_platform.up(platform.state_dir, {SCHEDULER})
    yield airflow
    airflow.unpause(LOAD_DAG)


@pytest.fixture(scope="module")
def planted(platform: Platform, story: Story) -> Iterator[Callable[[], None]]:  # noqa: ARG001 - after it
    """Trials to learn from; gives what takes them out again."""
    with ExitStack() as stack:
        stack.enter_context(trials_planted(platform.settings))
        yield stack.close


@pytest.fixture(scope="module")
def begun(scheduler: AirflowClient, planted: Callable[[], None]) -> dict[str, str]:  # noqa: ARG001
    """What waits for nothing else is begun together; the runs by what they are asked for."""
    week = last_week_of_training()
    # Before the DAG is unpaused, which then finds that its newest interval has a run.
    scheduler.backfill(TRAINING, week, week + timedelta(hours=1))
    begun = {
        "trained": scheduler.trigger(TRAINING, {"day": str(LAST_DAY), "models": [MODEL]}),
        "dry": scheduler.trigger(RANGE, range_again(SECOND_DAY, LAST_DAY, dry_run=True)),
        "refused": scheduler.trigger(RANGE, range_again(LAST_DAY, SECOND_DAY)),
    }
    for dag_id in (TRAINING, RANGE, DAY_WATCH):
        scheduler.unpause(dag_id)
    return begun


@pytest.fixture(scope="module")
def trained(
    platform: Platform, scheduler: AirflowClient, begun: dict[str, str], planted: Callable[[], None]
) -> Trained:
    by_hand = asked(scheduler, TRAINING, begun["trained"], "choose_models")
    [of_a_week] = scheduler.wait_for_runs(TRAINING, lambda run: run.run_type == "backfill", 1, 600)
    planted()
    known = decisions(warehouse_of(platform.settings), LAST_DAY, MODEL)
    return Trained(by_hand, of_a_week, last_week_of_training(), known)


@pytest.fixture(scope="module")
def in_use(platform: Platform, trained: Trained) -> ModelDecision:
    """The model in use, of which something critical is known."""
    newest = [each for each in trained.decisions if each.decision == "trained" and each.day == LAST_DAY][-1]
    model = put_to_use(platform.settings, newest.artifact)
    plant(platform.settings, model, LAST_DAY - DAY, 0.9)
    return model


@pytest.fixture(scope="module")
def again(
    platform: Platform,
    scheduler: AirflowClient,
    begun: dict[str, str],
    in_use: ModelDecision,  # noqa: ARG001 - looked at once the range is published
) -> RangeAgain:
    dry, refused = (asked(scheduler, RANGE, begun[name], "plan") for name in ("dry", "refused"))
    told = incidents(platform.settings, "restated")
    a_range_has_failed(platform.settings, SECOND_DAY)
    scheduler.unpause(WATCH)
    began = datetime.now(UTC)
    run_id = scheduler.trigger(RANGE, range_again(SECOND_DAY, LAST_DAY))
    killed = kill_in_the_second_chunk(scheduler, run_id)
    done = asked(scheduler, RANGE, run_id, "plan")
    return RangeAgain(dry, refused, told, done, killed, publications_since(platform.settings, began))


@pytest.fixture(scope="module")
def watched(
    platform: Platform,
    scheduler: AirflowClient,
    in_use: ModelDecision,
    again: RangeAgain,  # noqa: ARG001 - its publications have the models looked at
) -> Watched:
    by_publication = scheduler.wait_for_runs(WATCH, lambda _: True, 1, 600)
    opened = incidents(platform.settings, "measured")
    plant(platform.settings, in_use, LAST_DAY, 0.0)
    recovered = ask(scheduler, WATCH, {"day": str(LAST_DAY)}, "watch").run
    return Watched(by_publication, opened, recovered, incidents(platform.settings, "measured"))


def test_a_training_by_hand_decides_and_keeps_the_model(
    platform: Platform, scheduler: AirflowClient, trained: Trained
) -> None:
    run = trained.by_hand.run
    assert run.state == "success", all_failures(scheduler, [run], TRAINING)
    of_run = [each for each in trained.decisions if each.decided_by == f"{TRAINING} {run.run_id}"]

    assert [(each.day, each.decision) for each in of_run] == [(LAST_DAY, "trained"), (LAST_DAY, "refused")]
    kept = fetched(platform.settings, of_run[0])
    assert (kept.declaration.name, of_run[0].artifact in of_run[0].artifact_uri) == (MODEL, True)
    # In the UI a mapped task has the model's name.
    assert [each.label for each in trained.by_hand.tasks if each.task_id == "train"] == [MODEL]


def test_a_week_that_is_backfilled_is_trained_as_of_its_end(
    scheduler: AirflowClient, trained: Trained
) -> None:
    run, sunday = trained.of_a_week, (trained.week + timedelta(days=6)).date()
    assert run.state == "success", all_failures(scheduler, [run], TRAINING)

    of_run = [each for each in trained.decisions if each.decided_by == f"{TRAINING} {run.run_id}"]
    assert {each.day for each in of_run} == {sunday}


def test_a_dry_run_says_what_a_range_takes_and_builds_nothing(again: RangeAgain) -> None:
    assert again.dry.run.state == "success"
    for said in (
        f"2 days in 2 chunks, each built and published by itself: {SECOND_DAY}..{SECOND_DAY}, {LAST_DAY}",
        "partitions of",
        "bytes of raw and history",
    ):
        assert said in again.dry.log
    assert {each.state for each in again.dry.tasks if each.task_id.startswith("chunk.")} == {"skipped"}


def test_an_impossible_range_is_refused_in_a_sentence_before_anything_is_built(again: RangeAgain) -> None:
    assert again.refused.run.state == "failed"
    assert "docs/runbook.md#impossible_days" in again.refused.log
    assert f"{LAST_DAY}..{SECOND_DAY} ends before it starts" in again.refused.log
    # Not tried again: somebody has to ask for other days.
    assert {each.task_id: each.try_number for each in again.refused.tasks}["plan"] == 1
    assert {each.state for each in again.refused.tasks if each.task_id != "plan"} == {"upstream_failed"}
    # Who has asked reads it; nobody else is called.
    assert again.told_of_refusal == []


def test_a_range_goes_on_after_a_kill_and_no_finished_chunk_is_built_again(
    platform: Platform,
    scheduler: AirflowClient,
    again: RangeAgain,
    published_in_order: dict[date, Fingerprints],
) -> None:
    assert again.done.run.state == "success", all_failures(scheduler, [again.done.run], RANGE)
    tries = {(each.task_id, each.map_index): each.try_number for each in again.done.tasks}

    chunks = {(f"chunk.{step.name}", chunk) for step in STEPS for chunk in (0, 1)}
    repeated = {each for each in chunks if tries[each] > 1}
    assert repeated == {(again.killed.task_id, 1)}
    assert sorted(day for day, _ in again.publications) == [SECOND_DAY, LAST_DAY]
    assert set(again.publications.values()) == {1}
    assert fingerprints(platform.settings) == published_in_order[LAST_DAY]


def test_a_range_ends_the_incidents_of_all_its_days(platform: Platform, again: RangeAgain) -> None:
    assert again.done.run.state == "success"
    assert incidents(platform.settings, "restated") == [("build_failed", SECOND_DAY, True)]


def test_a_chunk_is_named_by_its_days_as_it_runs(again: RangeAgain) -> None:
    assert again.killed.label == f"{LAST_DAY}..{LAST_DAY}"
    labels = {(each.map_index, each.label) for each in again.done.tasks if each.map_index >= 0}
    assert labels == {(0, f"{SECOND_DAY}..{SECOND_DAY}"), (1, f"{LAST_DAY}..{LAST_DAY}")}


def test_what_is_critical_of_a_model_is_an_incident_until_it_is_over(
    scheduler: AirflowClient, watched: Watched
) -> None:
    runs = [*watched.by_publication, watched.recovered]
    assert {run.state for run in runs} == {"success"}, all_failures(scheduler, runs, WATCH)

    cause = f"model_drift:{MODEL}:v1"
    assert watched.opened == [(cause, LAST_DAY, False)]
    assert watched.closed == [(cause, LAST_DAY, True)]


def test_a_day_that_is_there_is_watched_without_a_word(
    scheduler: AirflowClient,
    again: RangeAgain,  # noqa: ARG001 - by then it has ended
) -> None:
    runs = scheduler.wait_for_runs(DAY_WATCH, lambda _: True, 1, 600)

    assert {run.state for run in runs} == {"success"}, all_failures(scheduler, runs, DAY_WATCH)
    assert LAST_DAY in {date.fromisoformat(str(run.day)) for run in runs}


def test_a_run_of_a_range_and_a_training_have_pages_in_the_ui(
    platform: Platform, again: RangeAgain, trained: Trained
) -> None:
    view = "plugin/segue-dag_run-segue-day"
    with chromium() as browser:
        page = new_page(browser)
        page.goto(f"{platform.airflow_url}{of_run(RANGE, again.done.run.run_id)}/{view}")
        words(page.frame_locator("iframe"), "2 of 2 chunks that have begun are published", str(LAST_DAY))
        page.goto(f"{platform.airflow_url}{of_run(TRAINING, trained.by_hand.run.run_id)}/{view}")
        words(page.frame_locator("iframe"), MODEL, "trained")


def test_ours_and_the_providers_lineage_are_one_tree(again: RangeAgain, told: Receiver) -> None:
    of_ours = [each for each in told.events if each["job"]["namespace"] == "segue"]
    of_airflow = [each for each in told.events if each["job"]["namespace"] == "default"]
    ended = {
        each["run"]["runId"]: each["job"]["name"] for each in of_airflow if each["eventType"] == "COMPLETE"
    }
    began = {each["run"]["runId"] for each in of_airflow if each["eventType"] == "START"}

    parents = {each["run"]["facets"]["parent"]["run"]["runId"] for each in of_ours}
    assert {ended[each] for each in parents} == {
        f"{RANGE}.chunk.{step}" for step in ("land", "build", "publish")
    }
    assert parents <= began
    roots = {each["run"]["facets"]["parent"]["root"]["run"]["runId"] for each in of_ours}
    of_tasks = {
        each["run"]["facets"]["parent"]["run"]["runId"]
        for each in of_airflow
        if each["run"]["runId"] in parents
    }
    assert roots == of_tasks
    assert {ended[each] for each in roots} == {RANGE}
    assert again.done.run.state == "success"
