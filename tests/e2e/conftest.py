"""One embedded platform for all end-to-end tests; three days of its small company are left to Airflow.

Its tasks run on two Celery workers that share no disk, and at last by the local executor. Runs cost more than
all that is asked of them, so they form one story, told by the fixtures in their order:

two days are backfilled backwards while the third, on schedule, arrives broken. Its tasks are marked
successful by hand, one after the other, while a run of it by hand meets another broken delivery. Whole files
have the scheduled run judged, and not yet published, when the other run is cleared over files that the gate
refuses. Then the first is published, and killed with the scheduler as it does so. The scheduler that takes
over has tasks run by the local executor: the second run is mended, one of the first two days backfilled
again while PostgreSQL and BigQuery are killed, and what had succeeded is cleared once more.

Tests look at what was recorded on the way and at what is there in the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pytest

from local import platform as local_platform
from local.airflow_client import AirflowClient
from local.company import generate
from local.services import airflow as airflow_services
from local.services.service import StateFolder
from tests.bigquery_process import TRANSLATIONS, dying_with_parent
from tests.company_in_order import HISTORY_END, LAST_DAY, SPEC
from tests.conftest import open_folder
from tests.e2e.breaks import DELIVERIES, break_day
from tests.e2e.disturbances import bring_back, database_dies, second_scheduler, warehouse_dies
from tests.e2e.orders import (
    FIRST_DAY,
    LOAD_DAG,
    MARTS_DAG,
    SECOND_DAY,
    Beginning,
    BrokenRun,
    Forced,
    Interrupted,
    Story,
    ThirdDay,
    again,
    all_failures,
    backfill,
    backfilled,
    ended,
    is_published,
    load_again,
    log_of,
    mark_each,
    mark_load,
    run_by_hand,
    wait_until,
    whole_again,
)
from tests.e2e.workers import Worker, kill, redis, worker
from tests.marts import fingerprints
from tests.otlp_collector import Collector, collector


@pytest.fixture(scope="package")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the generated company's ``truth/`` and ``manifest.json``."""
    return tmp_path_factory.mktemp("company")


@pytest.fixture(scope="package")
def collected() -> Iterator[Collector]:
    """What Airflow's components and our own steps have traced."""
    with collector() as kept:
        yield kept


@pytest.fixture(scope="package")
def running(
    company: Path, parsed_project: Path, collected: Collector
) -> Iterator[tuple[local_platform.Platform, list[Worker]]]:
    """Everything running, the history built as one range, the last three days not yet."""
    with open_folder() as state, pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        landing = state / "gcs" / local_platform.LANDING_BUCKET
        generate(SPEC, company, landing=landing)
        shutil.copytree(company / "experiments", state / "company/experiments")
        # As whoever deploys it would have parsed it.
        shutil.copytree(parsed_project.parent, state / "dbt_target")
        patch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
        # Nobody edits a DAG meanwhile; each time all files are imported anew, which takes both cores seconds.
        patch.setenv("AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL", "3600")
        patch.setenv("AIRFLOW__CELERY__BROKER_URL", stack.enter_context(redis(state)))
        patch.setenv("SEGUE_RESULTS_URI", (state / "results").as_uri())
        for name, value in tracing(collected).items():
            patch.setenv(name, value)
        # Of the emulator, whose environment is made for these tests.
        patch.setenv("SEGUE_BQEMULATOR_THREADS", "1")
        patch.setenv("SEGUE_BQEMULATOR_TRANSLATIONS", str(TRANSLATIONS))
        of_workers = {
            "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "runs.celery_worker.CONFIG",
            "SEGUE_DBT_PARSED_DIR": str(parsed_project.parent),
            # The larger of the first two days is read by processes side by side.
            "SEGUE_LANDING_PROCESSES": "2",
            "SEGUE_LANDING_PROCESSES_FROM_BYTES": str(
                max(size(landing, FIRST_DAY), size(landing, SECOND_DAY))
            ),
        }
        try:
            emulators = local_platform.up(state, local_platform.EMULATORS)
            # Beside the start of Airflow, much of which is waiting.
            with _history(state, emulators.env_file):
                started = local_platform.up(state)
                workers = [stack.enter_context(worker(started, name, of_workers)) for name in ("one", "two")]
            yield started, workers
        finally:
            local_platform.down(state)


def tracing(collected: Collector) -> dict[str, str]:
    """What docs/watch.md names for one trace of Airflow's tasks and our steps."""
    return {
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collected.endpoint,
        "SEGUE_OTLP_ENDPOINT": collected.endpoint,
    }


def size(landing: Path, day: date) -> int:
    """Bytes that arrived on the day."""
    return sum(file.stat().st_size for file in landing.glob(f"*/{day}/*"))


@pytest.fixture(scope="package")
def platform(running: tuple[local_platform.Platform, list[Worker]]) -> local_platform.Platform:
    return running[0]


@pytest.fixture(scope="package")
def workers(running: tuple[local_platform.Platform, list[Worker]]) -> list[Worker]:
    return running[1]


@contextmanager
def _history(state: Path, env_file: Path) -> Iterator[None]:
    """``segue run`` over the days before those of Airflow, ended well when the context is left."""
    segue = Path(sys.executable).parent / "segue"
    log = state / "history.log"
    with log.open("wb") as output:
        building = subprocess.Popen(
            dying_with_parent([str(segue), "run", str(SPEC.first_day), str(HISTORY_END)]),
            env=os.environ | {"SEGUE_ENV_FILE": str(env_file)},
            stdout=output,
            stderr=output,
        )
    try:
        yield
        assert building.wait(1200) == 0, log.read_text()[-3000:]
    finally:
        building.kill()
        building.wait()


@pytest.fixture(scope="package")
def landing(platform: local_platform.Platform) -> Path:
    """The landing folder that the platform reads."""
    return platform.state_dir / "gcs" / local_platform.LANDING_BUCKET


@pytest.fixture(scope="package")
def airflow(platform: local_platform.Platform) -> AirflowClient:
    """Airflow's API, with both DAGs read."""
    client = AirflowClient(platform.airflow_url)
    client.wait_for_dags({MARTS_DAG, LOAD_DAG}, 300)
    client.unpause(LOAD_DAG)
    return client


@pytest.fixture(scope="package")
def intact(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that the company delivered, to mend a day with."""
    copy = tmp_path_factory.mktemp("delivered") / "intact"
    shutil.copytree(landing, copy, ignore=shutil.ignore_patterns("_*"))
    return copy


@pytest.fixture(scope="package")
def beginning(
    platform: local_platform.Platform, airflow: AirflowClient, landing: Path, intact: Path
) -> Beginning:
    """The first two days, backwards. Nothing is paused any more, so the scheduler runs the third as well."""
    with delivered_broken(landing, intact, *DELIVERIES[0]), second_scheduler(platform):
        backfill(platform, airflow, FIRST_DAY, SECOND_DAY, backwards=True)
        [run] = airflow.wait_for_runs(MARTS_DAG, lambda run: run.run_type == "scheduled", 1, 1200)
        runs = backfilled(airflow, FIRST_DAY, SECOND_DAY)
    assert {run.state for run in runs} == {"success"}, all_failures(airflow, runs)
    return Beginning(runs, ended(platform, airflow, run))


@pytest.fixture(scope="package")
def third_day(
    platform: local_platform.Platform,
    airflow: AirflowClient,
    landing: Path,
    intact: Path,
    beginning: Beginning,
) -> ThirdDay:
    """The scheduled run, marked task by task, then judged over whole files; the other one is refused."""
    scheduled = beginning.on_schedule.run_id
    broken = dict.fromkeys(DELIVERIES[0], beginning.on_schedule)
    with delivered_broken(landing, intact, *DELIVERIES[1]):
        by_hand = run_by_hand(airflow, LAST_DAY)
        marked = mark_each(platform, airflow, scheduled)
        run = airflow.run(MARTS_DAG, by_hand, 1200)
    broken |= dict.fromkeys(DELIVERIES[1], ended(platform, airflow, run))
    again(airflow, scheduled, "land", "build", "score", "validate")
    judged = {task.task_id: task.state for task in airflow.tasks(MARTS_DAG, scheduled)}
    assert judged["validate"] == "success", log_of(airflow, scheduled, "validate")
    with delivered_broken(landing, intact, *DELIVERIES[2]):
        whole_again(airflow, by_hand)
        run = airflow.run(MARTS_DAG, by_hand, 1200)
    broken |= dict.fromkeys(DELIVERIES[2], ended(platform, airflow, run))
    return ThirdDay(scheduled, by_hand, broken, marked)


@contextmanager
def delivered_broken(landing: Path, intact: Path, *kinds: str) -> Iterator[None]:
    """The third day's files, broken in these ways; whole again afterwards."""
    try:
        for kind in kinds:
            break_day(landing, kind, LAST_DAY)
        yield
    finally:
        shutil.copytree(intact, landing, dirs_exist_ok=True)


@pytest.fixture(scope="package")
def broken(third_day: ThirdDay) -> dict[str, BrokenRun]:
    """The third day's runs by how it was broken."""
    return third_day.broken


@pytest.fixture(scope="package")
def forced(platform: local_platform.Platform, airflow: AirflowClient, third_day: ThirdDay) -> Forced:
    """Its gate marked successful by hand, which lets the publication begin; then the gate cleared."""
    airflow.mark_successful(MARTS_DAG, third_day.by_hand, "validate")
    marked = ended(platform, airflow, airflow.run(MARTS_DAG, third_day.by_hand, 600))
    cleared = again(airflow, third_day.by_hand, "validate", "publish", "drop_audit")
    return Forced(marked, ended(platform, airflow, cleared))


@pytest.fixture(scope="package")
def interrupted(
    platform: local_platform.Platform,
    airflow: AirflowClient,
    workers: list[Worker],
    third_day: ThirdDay,
    forced: Forced,  # noqa: ARG001 - before it
) -> Interrupted:
    """What the scheduled run had judged is published beside the refused one, killed when it is visible."""
    run_id = third_day.scheduled
    airflow.clear(MARTS_DAG, run_id, "publish", "drop_audit")
    wait_until(lambda: is_published(platform.settings, LAST_DAY), 600)
    publications = [
        began
        for each in workers
        for began in each.began()
        if (began.run_id, began.task_id) == (run_id, "publish")
    ]
    kill(max(publications, key=lambda began: began.seconds))
    scheduler = StateFolder.open(platform.state_dir).files.find(airflow_services.SCHEDULER)
    assert scheduler is not None
    os.kill(scheduler.pid, signal.SIGKILL)
    [state] = [task.state for task in airflow.tasks(MARTS_DAG, run_id) if task.task_id == "publish"]
    visible = fingerprints(platform.settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
        local_platform.up(platform.state_dir, {airflow_services.SCHEDULER})
    return Interrupted(run_id, state, visible)


@pytest.fixture(scope="package")
def story(
    platform: local_platform.Platform,
    airflow: AirflowClient,
    beginning: Beginning,
    third_day: ThirdDay,
    interrupted: Interrupted,
) -> Story:
    """All days published: the mended day by hand and, at the same time, an earlier one backfilled again."""
    whole_again(airflow, third_day.by_hand)
    backfill(platform, airflow, SECOND_DAY, SECOND_DAY)
    dead = interrupted.run_id
    killed = [database_dies(platform, airflow, but=dead), warehouse_dies(platform, airflow, but=dead)]
    airflow.wait_for_runs(
        MARTS_DAG,
        lambda run: run.run_id in {dead, third_day.by_hand},
        2,
        1200,
        # A scheduler may live on for a while when its database has died.
        on_poll=lambda _: bring_back(platform),
    )
    recovered = airflow.run(MARTS_DAG, interrupted.run_id, 1200)
    recovered_log = log_of(airflow, interrupted.run_id, "publish")
    mended = airflow.run(MARTS_DAG, third_day.by_hand, 1200)
    second_backfill = backfilled(airflow, SECOND_DAY)
    loads = len(airflow.runs(LOAD_DAG))
    # What it was built in is gone, and is dropped again.
    repeated = again(airflow, interrupted.run_id, "publish", "drop_audit")
    loaded = airflow.wait_for_runs(LOAD_DAG, lambda _: True, loads + 1, 300)
    again(airflow, interrupted.run_id, "validate")
    # What is built anew, and judged by nobody, does not come between a run and its publication.
    again(airflow, third_day.by_hand, "land", "build", "score")
    rebuilt = again(airflow, third_day.by_hand, "publish")
    return Story(
        first_backfill=beginning.backfill,
        broken=third_day.broken,
        recovered=recovered,
        recovered_log=recovered_log,
        mended=mended,
        second_backfill=second_backfill,
        repeated=repeated,
        loads=(loads, len(airflow.runs(LOAD_DAG))),
        unbuilt=log_of(airflow, interrupted.run_id, "validate"),
        rebuilt=rebuilt,
        rebuilt_log=log_of(airflow, third_day.by_hand, "publish"),
        reloaded=load_again(platform.settings, airflow, loaded[-1].run_id),
        marked_load=mark_load(platform.settings, airflow),
        killed=killed,
    )
