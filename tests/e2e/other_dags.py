"""What operators ask of the DAGs beside those of every morning: a training, a look at models, a range."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from loaders.scoring.measures import replace_measures
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import EndsWith, Incident
from local.airflow_client import AirflowClient, DagRun, TaskInstance
from runs.incidents import raise_incidents
from runs.model_decisions import promote
from scoring.registry import ModelDecision
from scoring.stability import Measure
from segue.settings import Settings
from tests.company_in_order import LAST_DAY, SPEC
from tests.e2e.orders import SECOND_DAY, log_of, wait_until

TRAINING, WATCH, RANGE, DAY_WATCH = "train_models", "model_watch", "restate_range", "day_watch"
MODEL = "trial_starts"
DECLARED = f"""\
name: {MODEL}
version: 1
owner: growth
description: Who starts a trial within two days.
kind: propensity
target: {{event: trial_started, within_days: 2}}
population: {{feature: is_entitled, equals: false}}
features: [market]
algorithm: {{num_iterations: 20, num_leaves: 4, min_data_in_leaf: 20}}
minimum: {{rows: 100, events: 40, auc: 0.95}}
training: {{days: 14, holdout_days: 4, every: 1}}
shadow_days: 0
max_age_days: 14
"""
"""Refused, however good it is: what is in use, a person decides."""


@dataclass(frozen=True)
class Asked:
    """A run by hand when it had ended, with the log of the task that says most."""

    run: DagRun
    log: str
    tasks: Sequence[TaskInstance]


def last_week_of_training() -> datetime:
    """The logical date of the newest weekly run: its interval ends on a Monday at 10:00 UTC."""
    now = datetime.now(UTC)
    end = datetime.combine(now.date() - timedelta(days=now.weekday()), time(10), UTC)
    return end - timedelta(days=7 if end <= now else 14)


def ask(airflow: AirflowClient, dag_id: str, conf: dict[str, object], task_id: str) -> Asked:
    """Start a run by hand and wait for its end."""
    return asked(airflow, dag_id, airflow.trigger(dag_id, conf), task_id)


def asked(airflow: AirflowClient, dag_id: str, run_id: str, task_id: str) -> Asked:
    """A run that was started, when it has ended; the log is that of ``task_id``."""
    run = airflow.run(dag_id, run_id, 600)
    return Asked(run, log_of(airflow, run_id, task_id, dag_id), airflow.tasks(dag_id, run_id))


def range_again(first: date, last: date, **other: object) -> dict[str, object]:
    """The parameters of a range in chunks of a day."""
    return {"from_date": str(first), "to_date": str(last), "chunk_days": 1, "dry_run": False, **other}


def kill_in_the_second_chunk(airflow: AirflowClient, run_id: str) -> TaskInstance:
    """Once the first chunk has ended, end what is running of the second one with SIGKILL; gives its task."""
    killed: list[TaskInstance] = []

    def happened() -> bool:
        tasks = airflow.tasks(RANGE, run_id)
        if not any((each.task_id, each.map_index, each.state) == _FIRST_HAS_ENDED for each in tasks):
            return False
        for each in tasks:
            if each.map_index == 1 and each.state == "running" and each.pid and each.label:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
                    killed.append(each)
        return bool(killed)

    wait_until(happened, 600)
    return killed[0]


_FIRST_HAS_ENDED = ("chunk.drop_audit", 0, "success")


@contextmanager
def trials_planted(settings: Settings) -> Iterator[None]:
    """So small a company has too few trials to learn from: meanwhile listeners are said to have begun one.

    Each on a day of its own, in some markets all of them: of so young a company nothing else stays alike.
    """
    marts, days = settings.marts_dataset, (LAST_DAY - SPEC.first_day).days
    warehouse = warehouse_of(settings)
    warehouse.run(
        f"""
        insert into {marts}.fct_trial
        with listeners as (
          select account_id, mod(abs(farm_fingerprint(account_id)), {days}) + 1 as place,
            mod(farm_fingerprint(market), 2) = 0 as is_eager
          from {marts}.fct_account_features
          where feature_date = date '{LAST_DAY}' and not is_entitled
        ),
        starters as (
          select account_id, date_add(date '{SPEC.first_day}', interval place day) as day
          from listeners where is_eager or mod(place, 3) = 0
        ),
        trial as (select * from {marts}.fct_trial limit 1)
        select trial.* replace (
          starters.account_id as account_id, starters.day as trial_date,
          timestamp(starters.day) as trial_started_at,
          concat('planted-', starters.account_id) as subscription_id
        )
        from trial cross join starters
        """
    )
    try:
        yield
    finally:
        warehouse.run(
            f"delete from {marts}.fct_trial where trial_date >= date '{SPEC.first_day}' "
            "and starts_with(subscription_id, 'planted-')"
        )


def put_to_use(settings: Settings, artifact: str) -> ModelDecision:
    """The trained model, whatever was decided about it."""
    return promote(settings, MODEL, artifact, LAST_DAY, "to be watched", "somebody", despite_drift=True)


def plant(settings: Settings, model: ModelDecision, day: date, value: float) -> None:
    """What a later training would have measured of the model: whether what it said came true."""
    measure = Measure(
        measure="calibration_bias", subject="score", value=value, warn_above=0.1, critical_above=0.3, rows=900
    )
    replace_measures(warehouse_of(settings), model, day, [measure])


def incidents(settings: Settings, ends_with: EndsWith) -> list[tuple[str, date, bool]]:
    """Cause, day, and whether it is over, of what a recovery of this kind ends."""
    rows = warehouse_of(settings).run(
        f"select cause, run_date, closed_at is not null as is_over from {settings.ops_dataset}.incidents "
        f"where ends_with = '{ends_with}' order by since_at"
    )
    return [(row.cause, row.run_date, row.is_over) for row in rows]


def a_range_has_failed(settings: Settings, day: date) -> None:
    """Tell of a range that ended with the day, and of which a chunk could not be built."""
    failed = Incident(
        day=day, cause="build_failed", what="restate_range.chunk.build has failed", since=datetime.now(UTC),
        ends_with="restated", runbook="build_failed", owner="somebody",
    )  # fmt: skip
    raise_incidents(settings, [failed])


def publications_since(settings: Settings, began: datetime) -> dict[tuple[date, str], int]:
    """How often each attempt of a run that ended with a day was published since then."""
    rows = warehouse_of(settings).run(
        "select run_date, attempt, count(distinct publication_id) as publications "
        f"from {settings.ops_dataset}.publications where run_date >= date '{SECOND_DAY}' "
        f"and published_at >= timestamp '{began.isoformat()}' group by run_date, attempt"
    )
    return {(row.run_date, row.attempt): row.publications for row in rows}
