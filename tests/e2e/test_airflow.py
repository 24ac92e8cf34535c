"""The whole platform under Airflow's real scheduler: backfills, broken days, the UI."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from local.airflow_client import AirflowClient, DagRun
from local.platform import Platform
from segue.settings import Settings
from tests.company_in_order import LAST_DAY, SPEC, CompanyInOrder
from tests.marts import fingerprints, mart_rows

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def failed_log(airflow: AirflowClient, run: DagRun) -> tuple[str, str]:
    """Task id and log of the run's failed task."""
    failed = [task for task in airflow.tasks("daily_marts", run.run_id) if task.state == "failed"]
    task = next(task for task in failed if task.task_id in {"land", "validate", "publish"})
    return task.task_id, airflow.log("daily_marts", run.run_id, task)


def failures(airflow: AirflowClient, dag_id: str, run: DagRun) -> list[str]:
    """Each failed task with the end of its log."""
    return [
        f"{run.run_id} {task.task_id}: {airflow.log(dag_id, run.run_id, task)[-3000:]}"
        for task in airflow.tasks(dag_id, run.run_id)
        if task.state == "failed"
    ]


def run_again(airflow: AirflowClient, day: date) -> DagRun:
    """Trigger the day by hand, as an operator would after a correction, and wait for the run's end."""
    run_id = airflow.trigger("daily_marts", {"start_date": str(day), "end_date": str(day)})
    return airflow.run("daily_marts", run_id, 600)


def online_generation(settings: Settings) -> int:
    """The generation that readers see."""
    from serving.client import OfferReader

    with OfferReader.open(settings) as reader:
        return reader.pointer().generation_ms


def test_backfills_that_overlap_and_run_backwards_give_the_tables_of_one_run_after_the_other(
    platform: Platform, backfills: list[DagRun], company_in_order: CompanyInOrder
) -> None:
    assert {run.state for run in backfills} == {"success"}
    assert fingerprints(platform.settings) == company_in_order.after[LAST_DAY]


@pytest.mark.usefixtures("backfills")
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


@pytest.mark.usefixtures("backfills")
def test_segments_of_the_last_day_are_online(platform: Platform, airflow: AirflowClient) -> None:
    from serving.client import OfferReader, Outcome

    runs = airflow.wait_for_runs("offer_segments", lambda _: True, 1, 300)
    failed = [failure for run in runs for failure in failures(airflow, "offer_segments", run)]
    day_rows = [
        row
        for row in mart_rows(platform.settings, "offer_segments")
        if row["segment_date"] == LAST_DAY and row["offers"]
    ]
    with OfferReader.open(platform.settings) as reader:
        assert reader.pointer().segment_date == LAST_DAY, failed
        answer = reader.lookup(day_rows[0]["account_id"])

    assert answer.outcome is Outcome.FOUND
    assert [offer.offer_id for offer in answer.offers] == [o["offer_id"] for o in day_rows[0]["offers"]]


BREAKS: dict[str, tuple[str, str]] = {
    "a duplicated subscription period": ("validate", "duplicated subscription period"),
    "a null plan": ("validate", "plan_id"),
    "a missing file": ("land", "fx_rates"),
    "a truncated Parquet": ("land", "payments"),
}


def first_file(landing: Path, table: str, day: date) -> Path:
    """A file of the table's arrival day."""
    return sorted((landing / table / str(day)).iterdir())[0]


def break_day(landing: Path, kind: str, day: date) -> None:
    """Damage the arrival day in one of the ways that ``BREAKS`` names."""
    events = first_file(landing, "subscription_events", day)
    table = pq.read_table(events)
    renewal = table.filter(pc.equal(table["event_type"], "renewed")).slice(0, 1)

    def with_values(row: pa.Table, **values: str | None) -> pa.Table:
        for column, value in values.items():
            field = row.schema.field(column)
            row = row.set_column(row.schema.get_field_index(column), field, pa.array([value], field.type))
        return row

    if kind == "a duplicated subscription period":
        again = with_values(renewal, event_type="started", provider_event_id="opened-twice")
        pq.write_table(pa.concat_tables([table, again]), events)
    elif kind == "a null plan":
        planless = with_values(
            renewal,
            event_type="started",
            provider_event_id="planless",
            subscription_id="planless",
            plan_id=None,
        )
        pq.write_table(pa.concat_tables([table, planless]), events)
    elif kind == "a missing file":
        shutil.rmtree(landing / "fx_rates" / str(day))
    else:
        payments = first_file(landing, "payments", day)
        payments.write_bytes(payments.read_bytes()[:-100])


@pytest.mark.usefixtures("backfills")
@pytest.mark.parametrize("kind", list(BREAKS))
def test_a_broken_day_stops_before_publication_and_its_task_log_names_the_cause(
    platform: Platform, airflow: AirflowClient, landing: Path, tmp_path: Path, kind: str
) -> None:
    published, generation = fingerprints(platform.settings), online_generation(platform.settings)
    shutil.copytree(landing, tmp_path / "intact", ignore=shutil.ignore_patterns("_*"))
    step, named = BREAKS[kind]
    try:
        break_day(landing, kind, LAST_DAY)
        run = run_again(airflow, LAST_DAY)
        task, log = failed_log(airflow, run)
    finally:
        shutil.copytree(tmp_path / "intact", landing, dirs_exist_ok=True)

    assert (run.state, task) == ("failed", step)
    assert named in log
    assert fingerprints(platform.settings) == published
    assert online_generation(platform.settings) == generation


@pytest.mark.usefixtures("backfills")
def test_a_broken_day_that_is_fixed_publishes(platform: Platform, airflow: AirflowClient) -> None:
    published, generation = fingerprints(platform.settings), online_generation(platform.settings)

    before = len(airflow.runs("offer_segments"))

    run = run_again(airflow, LAST_DAY)
    airflow.wait_for_runs("offer_segments", lambda _: True, before + 1, 120)

    assert run.state == "success"
    assert fingerprints(platform.settings) == published
    assert online_generation(platform.settings) > generation


@pytest.mark.usefixtures("backfills")
def test_the_history_starts_on_the_first_day(platform: Platform) -> None:
    days = {row["snapshot_date"] for row in mart_rows(platform.settings, "agg_subscribers_daily")}

    assert (min(days), max(days)) == (SPEC.first_day, LAST_DAY)
