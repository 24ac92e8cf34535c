"""A week is backfilled forwards and backwards at once while everything that it stands on is killed.

Of its own platform and company; ``make soak`` names this file, ``make test`` does not. What a short form of
it proves in every test run is in ``test_disturbances.py``.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from local import platform as local_platform
from local.airflow_client import AirflowClient, DagRun
from local.company import CompanySpec, generate
from local.platform import Platform
from local.services import airflow as airflow_services
from segue.settings import Settings
from segue.window import days_between
from serving.configured import open_reader
from tests.company_in_order import LAST_DAY
from tests.conftest import open_folder
from tests.e2e.adding_up import badly_published, not_as_counted
from tests.e2e.disturbances import (
    bring_back,
    database_dies,
    kill_service,
    second_scheduler,
    store_dies,
    warehouse_dies,
)
from tests.e2e.orders import LOAD_DAG, MARTS_DAG, all_failures, backfill, run_by_hand
from tests.marts import Fingerprints, fingerprints, mart_rows

SEEDS = range(max(1, int(os.environ.get("SEGUE_SOAK_SEEDS", "10")) // 10))
"""A week takes a quarter of an hour."""
SPEC = CompanySpec(accounts=150, days=28, seed=11, end_date=LAST_DAY)
FIRST_DAY = LAST_DAY - timedelta(days=6)
CONTROL = "segue-undisturbed"

pytestmark = [pytest.mark.timeout(0)]


@dataclass(frozen=True)
class World:
    """A running platform with the days before the week built, and what the week comes to undisturbed."""

    platform: Platform
    airflow: AirflowClient
    undisturbed: Fingerprints


def segue_run(platform: Platform, first: date, last: date, **environment: str) -> None:
    """``segue run``, without Airflow."""
    command = [str(Path(sys.executable).parent / "segue"), "run", str(first), str(last)]
    told = os.environ | {"SEGUE_ENV_FILE": str(platform.env_file)} | environment
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The week is built day after day in a project of its own first."""
    company = tmp_path_factory.mktemp("company")
    with open_folder() as state, open_folder() as other_state, pytest.MonkeyPatch.context() as patch:
        generate(SPEC, company, landing=state / "gcs" / local_platform.LANDING_BUCKET)
        patch.setenv("SEGUE_EXPERIMENTS_DIR", str(company / "experiments"))
        patch.setenv("SEGUE_TASK_RETRIES", "3")
        try:
            emulators = local_platform.up(state, local_platform.EMULATORS)
            before = FIRST_DAY - timedelta(days=1)
            control = {"SEGUE_PROJECT_ID": CONTROL, "SEGUE_STATE_DIR": str(other_state)}
            segue_run(emulators, SPEC.first_day, before, **control)
            for day in days_between(FIRST_DAY, LAST_DAY):
                segue_run(emulators, day, day, **control)
            segue_run(emulators, SPEC.first_day, before)
            platform = local_platform.up(state)
            airflow = AirflowClient(platform.airflow_url)
            airflow.wait_for_dags({MARTS_DAG, LOAD_DAG}, 300)
            airflow.unpause(LOAD_DAG)
            undisturbed = fingerprints(platform.settings.model_copy(update={"project_id": CONTROL}))
            yield World(platform, airflow, undisturbed)
        finally:
            local_platform.down(state)


def scheduler_dies(platform: Platform, _airflow: AirflowClient) -> None:
    """The scheduler is killed, and started again after a while."""
    bring_back(platform)
    kill_service(platform, airflow_services.SCHEDULER)
    time.sleep(5)
    local_platform.up(platform.state_dir, {airflow_services.SCHEDULER})


def settled(airflow: AirflowClient, dag_id: str) -> list[DagRun]:
    """The DAG's runs, once none of them is under way."""
    return airflow.wait_for_runs(dag_id, lambda _: True, len(airflow.runs(dag_id)), 3600)


def ended_well(platform: Platform, airflow: AirflowClient) -> None:
    """All runs end, green, once what fell with the database is there again.

    Of a load whose generation was forgotten with the store that it was in, what its message says is done:
    ``begin`` is cleared.
    """
    time.sleep(20)
    bring_back(platform)
    runs = settled(airflow, MARTS_DAG)
    assert {run.state for run in runs} == {"success"}, all_failures(airflow, runs)
    for run in settled(airflow, LOAD_DAG):
        if run.state == "failed":
            airflow.clear(LOAD_DAG, run.run_id, "begin", "load_shard", "publish")
    loads = settled(airflow, LOAD_DAG)
    assert {run.state for run in loads} == {"success"}, all_failures(airflow, loads, LOAD_DAG)


def online(settings: Settings) -> tuple[date, int]:
    """The day that readers see, and how many accounts of its segments they find."""
    rows = [row for row in mart_rows(settings, "offer_segments") if row["segment_date"] == LAST_DAY]
    with open_reader(settings, refresh_seconds=0) as reader:
        answers = reader.lookup_many([row["account_id"] for row in rows])
        found = [answer for answer in answers if answer.outcome.value in ("found", "suppressed")]
        assert len(found) == len(rows)
        return reader.pointer().segment_date, len(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_week_that_is_backfilled_under_every_death_is_the_week_undisturbed(world: World, seed: int) -> None:
    platform, airflow = world.platform, world.airflow
    draw = random.Random(f"week {seed}")
    deaths: list[Callable[[Platform, AirflowClient], object]] = [
        scheduler_dies, database_dies, warehouse_dies, store_dies, scheduler_dies, warehouse_dies,
    ]  # fmt: skip
    draw.shuffle(deaths)

    with second_scheduler(platform):
        backfill(platform, airflow, FIRST_DAY, LAST_DAY, backwards=bool(seed % 2))
        for day in list(days_between(FIRST_DAY, LAST_DAY))[:: 2 if seed % 2 else -2]:
            run_by_hand(airflow, day)
        for death in deaths:
            time.sleep(draw.uniform(0, 20))
            death(platform, airflow)
    ended_well(platform, airflow)
    # What was run before a day that precedes it knows that day's decisions from the next morning on.
    run_by_hand(airflow, LAST_DAY)
    ended_well(platform, airflow)

    assert fingerprints(platform.settings) == world.undisturbed
    assert badly_published(platform.settings) == []
    assert not_as_counted(platform.settings) == []
    day, accounts = online(platform.settings)
    assert day == LAST_DAY
    assert accounts > 0
