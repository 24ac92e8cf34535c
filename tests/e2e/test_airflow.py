"""The whole platform under Airflow's real scheduler: backfills, broken days, the UI."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from loaders.warehouse.client import warehouse_of
from local.airflow_client import AirflowClient
from local.platform import Platform
from runs.steps import STEPS
from tests.company_in_order import LAST_DAY, SPEC
from tests.e2e.breaks import BREAKS
from tests.e2e.orders import (
    LOAD_DAG,
    SECOND_DAY,
    BrokenRun,
    Forced,
    Interrupted,
    Story,
    ThirdDay,
    all_failures,
    online_generation,
)
from tests.marts import Fingerprints, fingerprints, mart_rows

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]


@pytest.mark.parametrize("kind", list(BREAKS))
def test_a_broken_day_stops_before_publication_and_its_task_log_names_the_cause(
    broken: dict[str, BrokenRun], published_in_order: dict[date, Fingerprints], kind: str
) -> None:
    run = broken[kind]
    step, named = BREAKS[kind]

    assert (run.state, run.failed_task) == ("failed", step), run.log[-3000:]
    assert named in run.log
    assert run.published == published_in_order[SECOND_DAY]
    # What was loaded after the first backfill.
    assert {each.generation_ms for each in broken.values()} == {run.generation_ms}


def test_a_task_that_is_marked_successful_leaves_nothing_and_the_next_one_says_so(
    third_day: ThirdDay, published_in_order: dict[date, Fingerprints]
) -> None:
    marked = third_day.marked

    assert list(marked.logs) == list(pairwise(step.name for step in STEPS))
    for (step, later), log in marked.logs.items():
        assert f"`{step}` has left nothing for `{later}` to work on" in log
    assert marked.published == published_in_order[SECOND_DAY]
    # Nor does a publication that was only marked start a load.
    assert marked.loads[0] == marked.loads[1]


def test_a_gate_that_is_marked_successful_by_hand_publishes_nothing(
    forced: Forced, published_in_order: dict[date, Fingerprints]
) -> None:
    run = forced.marked

    assert (run.state, run.failed_task) == ("failed", "publish"), run.log[-3000:]
    assert "`validate` has left nothing for `publish` to work on" in run.log
    assert run.published == published_in_order[SECOND_DAY]


def test_a_gate_that_is_cleared_refuses_again(
    forced: Forced, published_in_order: dict[date, Fingerprints]
) -> None:
    run = forced.cleared

    assert (run.state, run.failed_task) == ("failed", "validate"), run.log[-3000:]
    assert "duplicated subscription period" in run.log
    assert run.published == published_in_order[SECOND_DAY]


def test_a_run_publishes_what_it_had_judged_though_a_bad_day_was_built_beside_it(
    interrupted: Interrupted, published_in_order: dict[date, Fingerprints]
) -> None:
    assert interrupted.published == published_in_order[LAST_DAY]


def test_a_publication_that_is_killed_with_the_scheduler_finds_itself_and_starts_the_load(
    airflow: AirflowClient, story: Story, interrupted: Interrupted
) -> None:
    assert interrupted.state == "running"
    assert story.recovered.state == "success", all_failures(airflow, [story.recovered])
    assert ", published before" in story.recovered_log


def test_a_publication_that_is_cleared_finds_itself_and_starts_the_load_again(
    platform: Platform, airflow: AirflowClient, story: Story
) -> None:
    assert story.repeated.state == "success", all_failures(airflow, [story.repeated])
    counted = warehouse_of(platform.settings).run(
        "select attempt, count(distinct publication_id) as publications from ops.publications "
        "where attempt is not null group by attempt"
    )
    assert {row.publications for row in counted} == {1}
    assert story.loads[1] > story.loads[0]


def test_a_gate_that_is_cleared_when_its_dataset_is_gone_says_what_to_clear(story: Story) -> None:
    assert "was not built" in story.unbuilt
    assert "clear `build`" in story.unbuilt


def test_what_is_built_anew_and_not_judged_does_not_come_between_a_run_and_its_publication(
    airflow: AirflowClient, story: Story
) -> None:
    assert story.rebuilt.state == "success", all_failures(airflow, [story.rebuilt])
    assert ", published before" in story.rebuilt_log


def test_a_finished_load_whose_tasks_are_cleared_one_by_one_stays_as_it_is(story: Story) -> None:
    assert {state for state, _ in story.reloaded.values()} <= {"success", "skipped"}
    assert len({generation for _, generation in story.reloaded.values()}) == 1


def test_a_task_of_a_load_that_is_marked_successful_loads_nothing_and_the_next_one_says_so(
    story: Story,
) -> None:
    ends = story.marked_load.ends

    for (name, later), (state, log) in ends.items():
        if state == "failed":
            assert f"`{name}` has left nothing for `{later}` to work on" in log
    # There are as many shards as `begin` has named: none, and Airflow says so itself.
    assert [state for state, _ in ends.values()] == ["failed", "upstream_failed", "failed"]
    assert {story.marked_load.generation_ms} == {generation for _, generation in story.reloaded.values()}


def test_a_broken_day_that_is_fixed_publishes(
    platform: Platform, airflow: AirflowClient, story: Story
) -> None:
    assert story.mended.state == "success", all_failures(airflow, [story.mended])
    assert ("fct_subscriber_daily", str(LAST_DAY)) in fingerprints(platform.settings)
    before = {run.generation_ms for run in story.broken.values()}
    assert online_generation(platform.settings, LAST_DAY) > max(before)


def test_backfills_that_overlap_and_run_backwards_give_the_tables_of_one_run_after_the_other(
    platform: Platform,
    airflow: AirflowClient,
    story: Story,
    published_in_order: dict[date, Fingerprints],
) -> None:
    runs = [*story.first_backfill, *story.second_backfill]
    assert {run.state for run in runs} == {"success"}, all_failures(airflow, runs)
    assert fingerprints(platform.settings) == published_in_order[LAST_DAY]


@pytest.mark.usefixtures("story")
def test_what_airflow_published_agrees_with_the_companys_truth(platform: Platform, company: Path) -> None:
    truth = pq.read_table(company / "truth" / "days.parquet").to_pylist()
    expected = {
        (row["day"], row["currency"]): (row["active_subscriptions"], row["mrr_amount"])
        for row in truth
        if row["active_subscriptions"]
    }

    actual: dict[tuple[date, str], tuple[int, object]] = {}
    for row in mart_rows(platform.settings, "agg_subscribers_daily"):
        key = (row["snapshot_date"], row["currency"])
        active, mrr = actual.get(key, (0, 0))
        actual[key] = (active + row["active_subscriptions"], mrr + row["mrr_amount"])

    assert {key: value for key, value in actual.items() if value[0]} == expected


@pytest.mark.usefixtures("story")
def test_segments_of_the_last_day_are_online(platform: Platform, airflow: AirflowClient) -> None:
    from segue_client.answer import Outcome
    from serving.configured import open_reader

    online_generation(platform.settings, LAST_DAY)
    runs = airflow.wait_for_runs(LOAD_DAG, lambda _: True, 2, 300)
    failed = all_failures(airflow, runs, LOAD_DAG)
    day_rows = [
        row
        for row in mart_rows(platform.settings, "offer_segments")
        if row["segment_date"] == LAST_DAY and row["offers"]
    ]
    with open_reader(platform.settings) as reader:
        # A day that is published again displaces nothing newer.
        assert reader.pointer().segment_date == LAST_DAY, failed
        answer = reader.lookup(day_rows[0]["account_id"])

    assert answer.outcome is Outcome.FOUND
    assert [offer.offer_id for offer in answer.offers] == [o["offer_id"] for o in day_rows[0]["offers"]]


@pytest.mark.usefixtures("story")
def test_the_history_starts_on_the_first_day(platform: Platform) -> None:
    days = {row["snapshot_date"] for row in mart_rows(platform.settings, "agg_subscribers_daily")}

    assert (min(days), max(days)) == (SPEC.first_day, LAST_DAY)
