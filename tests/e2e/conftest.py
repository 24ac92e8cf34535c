"""One embedded platform for all end-to-end tests; three days of its small company are left to Airflow.

Runs cost more than all that is asked of them, so they form one story, told by the fixtures in their order:
two days are backfilled backwards while the third, on schedule, arrives broken; run by hand, it is broken in
other ways, then mended, while one of the first two is backfilled again. Tests look at what was recorded on
the way and at what is there in the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from local import platform as local_platform
from local.airflow_client import AirflowClient, DagRun
from local.company import generate
from local.demo import airflow_backfill
from segue.settings import Settings
from tests.bigquery_process import die_with_parent
from tests.company_in_order import DAY, HISTORY_END, LAST_DAY, SPEC
from tests.conftest import open_folder
from tests.e2e.breaks import DELIVERIES, break_day
from tests.marts import Fingerprints, fingerprints

FIRST_DAY, SECOND_DAY = HISTORY_END + DAY, HISTORY_END + 2 * DAY


@dataclass(frozen=True)
class BrokenRun:
    """How a run of a broken day ended, and what could be read and looked up afterwards."""

    run_id: str
    state: str
    failed_task: str
    log: str
    published: Fingerprints
    generation_ms: int


@dataclass(frozen=True)
class Story:
    """Every run of the story; those of the broken day by how it was broken.

    ``forced`` is the refused run after somebody marked its gate successful and let it publish; ``repeated``
    the mended one after its publication was cleared alone, ``loads`` the loads before and after.
    """

    first_backfill: list[DagRun]
    broken: dict[str, BrokenRun]
    forced: BrokenRun
    mended: DagRun
    second_backfill: list[DagRun]
    repeated: DagRun
    loads: tuple[int, int]


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the generated company's ``truth/`` and ``manifest.json``."""
    return tmp_path_factory.mktemp("company")


@pytest.fixture(scope="session")
def platform(company: Path) -> Iterator[local_platform.Platform]:
    """Everything running, the history built as one range, the last three days not yet."""
    # A broken day shall fail at once; what retries are for is not tested here.
    with open_folder() as state, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGUE_TASK_RETRIES", "0")
        generate(SPEC, company, landing=state / "gcs" / local_platform.LANDING_BUCKET)
        try:
            emulators = local_platform.up(state, local_platform.EMULATORS)
            # Beside the start of Airflow, much of which is waiting.
            with _history(state, emulators.env_file):
                started = local_platform.up(state)
            yield started
        finally:
            local_platform.down(state)


@contextmanager
def _history(state: Path, env_file: Path) -> Iterator[None]:
    """``segue run`` over the days before those of Airflow, ended well when the context is left."""
    segue = Path(sys.executable).parent / "segue"
    log = state / "history.log"
    with log.open("wb") as output:
        building = subprocess.Popen(
            [str(segue), "run", str(SPEC.first_day), str(HISTORY_END)],
            env=os.environ | {"SEGUE_ENV_FILE": str(env_file)},
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
    try:
        yield
        assert building.wait(1200) == 0, log.read_text()[-3000:]
    finally:
        building.kill()
        building.wait()


@pytest.fixture(scope="session")
def landing(platform: local_platform.Platform) -> Path:
    """The landing folder that the platform reads."""
    return platform.state_dir / "gcs" / local_platform.LANDING_BUCKET


@pytest.fixture(scope="session")
def airflow(platform: local_platform.Platform) -> AirflowClient:
    """Airflow's API, with both DAGs read."""
    client = AirflowClient(platform.airflow_url)
    client.wait_for_dags({"daily_marts", "offer_segments"}, 300)
    client.unpause("offer_segments")
    return client


def backfill(
    platform: local_platform.Platform,
    airflow: AirflowClient,
    first: date,
    last: date,
    *,
    backwards: bool = False,
) -> None:
    """Start a backfill of [first, last] with the command line."""
    airflow.wait_for_backfills("daily_marts", 300)
    airflow_backfill(platform, first, last, backwards=backwards, max_active_runs=2)
    airflow.unpause("daily_marts")


def backfilled(airflow: AirflowClient, *days: date) -> list[DagRun]:
    """The days' backfill runs, when all have ended."""
    wanted = {str(day) for day in days}
    return airflow.wait_for_runs(
        "daily_marts", lambda run: run.run_type == "backfill" and run.day in wanted, len(wanted), 1200
    )


def run_by_hand(airflow: AirflowClient, day: date) -> str:
    """Trigger the day as an operator would after a correction; returns the run's id."""
    return airflow.trigger("daily_marts", {"start_date": str(day), "end_date": str(day)})


def online_generation(settings: Settings, segment_date: date) -> int:
    """The generation that readers see, once it is of the day.

    Raises:
        TimeoutError: readers still see another day.
    """
    from serving.client import OfferReader

    deadline = time.monotonic() + 300
    with OfferReader.open(settings, refresh_seconds=0) as reader:
        while (pointer := reader.pointer()).segment_date != segment_date:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{pointer.segment_date} is online, not {segment_date}")
            time.sleep(0.5)
        return pointer.generation_ms


@pytest.fixture(scope="session")
def intact(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that the company delivered, to mend a day with."""
    copy = tmp_path_factory.mktemp("delivered") / "intact"
    shutil.copytree(landing, copy, ignore=shutil.ignore_patterns("_*"))
    return copy


@dataclass(frozen=True)
class Beginning:
    """The first backfill, and the broken day's run on schedule beside it."""

    backfill: list[DagRun]
    on_schedule: BrokenRun


@pytest.fixture(scope="session")
def beginning(
    platform: local_platform.Platform, airflow: AirflowClient, landing: Path, intact: Path
) -> Beginning:
    """The first two days, backwards. Nothing is paused any more, so the scheduler runs the third as well."""
    [kind] = DELIVERIES[0]
    break_day(landing, kind, LAST_DAY)
    try:
        backfill(platform, airflow, FIRST_DAY, SECOND_DAY, backwards=True)
        [run] = airflow.wait_for_runs("daily_marts", lambda run: run.run_type == "scheduled", 1, 1200)
        runs = backfilled(airflow, FIRST_DAY, SECOND_DAY)
    finally:
        shutil.copytree(intact, landing, dirs_exist_ok=True)
    assert {run.state for run in runs} == {"success"}, all_failures(airflow, runs)
    return Beginning(runs, ended(platform, airflow, run))


def ended(platform: local_platform.Platform, airflow: AirflowClient, run: DagRun) -> BrokenRun:
    """What the run of a broken day left behind."""
    tasks = airflow.tasks("daily_marts", run.run_id)
    failed = next((task for task in tasks if task.state == "failed"), tasks[-1])
    return BrokenRun(
        run.run_id,
        run.state,
        failed.task_id,
        airflow.log("daily_marts", run.run_id, failed),
        fingerprints(platform.settings),
        online_generation(platform.settings, SECOND_DAY),
    )


@pytest.fixture(scope="session")
def broken(
    platform: local_platform.Platform,
    airflow: AirflowClient,
    landing: Path,
    intact: Path,
    beginning: Beginning,
) -> dict[str, BrokenRun]:
    """The third day's runs by how it was broken; its files are whole again afterwards."""
    runs = dict.fromkeys(DELIVERIES[0], beginning.on_schedule)
    for kinds in DELIVERIES[1:]:
        try:
            for kind in kinds:
                break_day(landing, kind, LAST_DAY)
            run = airflow.run("daily_marts", run_by_hand(airflow, LAST_DAY), 1200)
        finally:
            shutil.copytree(intact, landing, dirs_exist_ok=True)
        runs.update(dict.fromkeys(kinds, ended(platform, airflow, run)))
    return runs


@pytest.fixture(scope="session")
def forced(
    platform: local_platform.Platform, airflow: AirflowClient, broken: dict[str, BrokenRun]
) -> BrokenRun:
    """The run that the gate refused, its gate marked successful by hand, its publication cleared."""
    [refused] = {run.run_id for run in broken.values() if run.failed_task == "validate"}
    airflow.mark_successful("daily_marts", refused, "validate")
    airflow.clear("daily_marts", refused, "publish", "drop_audit")
    return ended(platform, airflow, airflow.run("daily_marts", refused, 1200))


@pytest.fixture(scope="session")
def story(
    platform: local_platform.Platform,
    airflow: AirflowClient,
    beginning: Beginning,
    broken: dict[str, BrokenRun],
    forced: BrokenRun,
) -> Story:
    """All days published: the mended day by hand and, at the same time, an earlier one backfilled again."""
    by_hand = run_by_hand(airflow, LAST_DAY)
    backfill(platform, airflow, SECOND_DAY, SECOND_DAY)
    mended = airflow.run("daily_marts", by_hand, 1200)
    second_backfill = backfilled(airflow, SECOND_DAY)
    loads = len(airflow.runs("offer_segments"))
    airflow.clear("daily_marts", by_hand, "publish")
    repeated = airflow.run("daily_marts", by_hand, 1200)
    airflow.wait_for_runs("offer_segments", lambda _: True, loads + 1, 300)
    return Story(
        beginning.backfill,
        broken,
        forced,
        mended,
        second_backfill,
        repeated,
        (loads, len(airflow.runs("offer_segments"))),
    )


def all_failures(airflow: AirflowClient, runs: list[DagRun], dag_id: str = "daily_marts") -> list[str]:
    """Each failed task with the end of its log."""
    return [
        f"{run.run_id} {task.task_id}: {airflow.log(dag_id, run.run_id, task)[-3000:]}"
        for run in runs
        for task in airflow.tasks(dag_id, run.run_id)
        if task.state == "failed"
    ]
