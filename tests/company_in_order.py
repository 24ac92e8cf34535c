"""A small generated company, built day after day as the scheduler would on a quiet morning."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlparse

import pytest
from filelock import FileLock
from structlog.testing import capture_logs

from loaders.warehouse.incidents import Incident
from local.company import CompanySpec, generate
from runs.deadlines import missed
from runs.incidents import raise_incidents
from runs.steps import STEPS, asked
from segue.logs import lines_of
from segue.settings import Settings
from segue.telemetry import step_of_run
from segue.window import RunWindow
from tests.judged import let_through
from tests.marts import Fingerprints, fingerprints
from tests.openlineage_receiver import Receiver, receiver
from tests.otlp_collector import Collector, collector

DAY = timedelta(days=1)
# All workers of a test run mean the same day, also those that start after midnight.
_TODAY = date.fromisoformat(os.environ.setdefault("TESTS_TODAY", str(datetime.now(UTC).date())))
LAST_DAY = _TODAY - DAY
HISTORY_END = LAST_DAY - 3 * DAY
"""Up to here the days are built as one range; the last three one by one."""
SINGLE_DAYS = tuple(HISTORY_END + DAY * n for n in (1, 2, 3))
SPEC = CompanySpec(accounts=400, days=21, seed=7, end_date=LAST_DAY)


def incidents_of_a_late_day(settings: Settings) -> list[Incident]:
    """What is told when nobody has built the last day by its deadline, because a task was killed, and of a
    run of all days that has failed too."""
    due = datetime.combine(LAST_DAY + DAY, time(6), UTC)
    late = missed(settings, LAST_DAY, due, due, is_online=False)
    assert late is not None
    killed = replace(late, cause="fault:daily_marts.build", what="it was killed", runbook="fault")
    before = SPEC.first_day - DAY
    of_all = replace(killed, cause="build_failed", what="no", runbook="build_failed", first_day=before)
    return [killed, late, of_all]


@dataclass
class CompanyInOrder:
    """The company's project, and its truth.

    The last day was late: before its run ``incidents_of_a_late_day`` were open.

    ``after`` holds all that was published when a day's first run had ended; ``watched`` and ``lineage`` are
    what was told meanwhile of the run of the last day, ``logged`` what all of them logged and handed over.
    """

    settings: Settings
    truth: Path
    watched: Collector
    lineage: Receiver
    after: dict[date, Fingerprints] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)


def _file(shared_folder: Path) -> Path:
    return shared_folder / "published_in_order.pickle"


def _lock(shared_folder: Path) -> FileLock:
    # One object for the process: whoever holds it may take it again.
    return FileLock(shared_folder / "published_in_order.lock", is_singleton=True)


@pytest.fixture(scope="session")
def company_in_order(
    dbt_world: Any, tmp_path_factory: pytest.TempPathFactory, shared_folder: Path
) -> CompanyInOrder:
    """Built without Airflow and without the gate; no test may change it."""
    company = tmp_path_factory.mktemp("company-in-order")
    settings: Settings = dbt_world("in-order", experiments_dir=company / "experiments")
    landing = Path(urlparse(settings.landing_files_root).path)
    with _lock(shared_folder), collector() as watched, receiver() as told:
        generate(SPEC, company, landing=landing)
        built = CompanyInOrder(settings, company / "truth", watched, told)
        for first, last in [(SPEC.first_day, HISTORY_END), *((day, day) for day in SINGLE_DAYS)]:
            window = asked(settings, first, last)
            if last == LAST_DAY:
                with lines_of(f"in_order__{last}", last, "watch"):
                    raise_incidents(settings, incidents_of_a_late_day(settings))
            for step in STEPS:
                # Each on a worker of its own, which has seen nothing before and keeps nothing.
                with TemporaryDirectory() as folder:
                    worker = settings.model_copy(
                        update={
                            "state_dir": Path(folder),
                            "dbt_parsed_dir": settings.dbt_target_dir,
                            "otlp_endpoint": watched.endpoint if last == LAST_DAY else None,
                            "openlineage_url": told.url if last == LAST_DAY else None,
                        }
                    )
                    run_id = f"in_order__{last}"
                    if step.name == "validate":
                        with lines_of(run_id, last, step.name):
                            let_through(worker, window)
                        continue
                    with capture_logs() as lines, step_of_run(worker, run_id, last, step.name):
                        outcome = step.perform(worker, window)
                    left = outcome.window.model_dump_json()
                    built.logged += [str(line) for line in lines] + outcome.lines() + [left]
                    window = RunWindow.model_validate_json(left)
            built.after[last] = fingerprints(settings)
        _file(shared_folder).write_bytes(pickle.dumps(built.after))
    return built


@pytest.fixture(scope="session")
def published_in_order(request: pytest.FixtureRequest, shared_folder: Path) -> dict[date, Fingerprints]:
    """What ``company_in_order`` had published after each of its runs; another worker may have built it."""
    with _lock(shared_folder):
        if not _file(shared_folder).exists():
            request.getfixturevalue("company_in_order")
        found: dict[date, Fingerprints] = pickle.loads(_file(shared_folder).read_bytes())
    return found
