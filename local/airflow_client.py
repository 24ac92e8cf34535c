"""A small client of the embedded Airflow's REST API: what the demo and the tests need to follow runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

FINISHED = frozenset({"success", "failed"})


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG; ``day`` is the first day of its data interval, None when asset-triggered."""

    run_id: str
    run_type: str
    state: str
    day: str | None
    seconds: float | None


@dataclass(frozen=True)
class TaskInstance:
    """One try-counting task of a run; ``state`` is None before it is scheduled.

    Of a mapped task ``map_index`` is the place among its like, from 0, and ``label`` what the UI calls it by.
    """

    task_id: str
    state: str | None
    try_number: int
    map_index: int = -1
    label: str | None = None
    pid: int | None = None


class AirflowClient:
    """Calls ``/api/v2`` with the token that the embedded Airflow gives to everyone on this machine."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=30)
        token = self._http.get("/auth/token").raise_for_status().json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def _get(self, path: str, **params: Any) -> Any:
        return self._http.get(f"/api/v2{path}", params=params).raise_for_status().json()

    def dag_ids(self) -> set[str]:
        """DAGs that the dag processor has read so far."""
        return {dag["dag_id"] for dag in self._get("/dags", limit=100)["dags"]}

    def import_errors(self) -> list[str]:
        """Stack traces of DAG files that do not import."""
        return [error["stack_trace"] for error in self._get("/importErrors")["import_errors"]]

    def wait_for_dags(self, dag_ids: set[str], timeout_seconds: float) -> None:
        """Wait until all ``dag_ids`` are known.

        Raises:
            TimeoutError: they are not; the message carries the import errors.
        """
        deadline = time.monotonic() + timeout_seconds
        while not dag_ids <= self.dag_ids():
            if time.monotonic() > deadline:
                missing = sorted(dag_ids - self.dag_ids())
                raise TimeoutError(f"DAGs {missing} did not appear; import errors: {self.import_errors()}")
            time.sleep(0.5)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start the DAG's runs."""
        self._set_paused(dag_id, False)

    def pause(self, dag_id: str) -> None:
        """Keep the scheduler from starting more of the DAG's runs."""
        self._set_paused(dag_id, True)

    def _set_paused(self, dag_id: str, is_paused: bool) -> None:
        self._http.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": is_paused}).raise_for_status()

    def runs(self, dag_id: str) -> list[DagRun]:
        """The DAG's runs, oldest data interval first."""
        runs = self._get(f"/dags/{dag_id}/dagRuns", limit=100, order_by="run_after")["dag_runs"]
        return [
            DagRun(
                run_id=run["dag_run_id"],
                run_type=run["run_type"],
                state=run["state"],
                day=run["data_interval_start"][:10] if run["data_interval_start"] else None,
                seconds=run["duration"],
            )
            for run in runs
        ]

    def run(self, dag_id: str, run_id: str, timeout_seconds: float) -> DagRun:
        """Wait for one run to finish, well or not.

        Raises:
            TimeoutError: it has not.
        """
        return self.wait_for_runs(dag_id, lambda run: run.run_id == run_id, 1, timeout_seconds)[0]

    def wait_for_backfills(self, dag_id: str, timeout_seconds: float) -> None:
        """Wait until no backfill is open: Airflow allows one at a time, and closes it half a minute late.

        Raises:
            TimeoutError: one is still open.
        """
        deadline = time.monotonic() + timeout_seconds
        while any(b["completed_at"] is None for b in self._get("/backfills", dag_id=dag_id)["backfills"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"a backfill of {dag_id} is still open after {timeout_seconds:.0f} s")
            time.sleep(1)

    def tasks(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """The run's task instances."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return [
            TaskInstance(
                task_id=task["task_id"],
                state=task["state"],
                try_number=task["try_number"],
                map_index=task["map_index"],
                label=task["rendered_map_index"],
                pid=task["pid"],
            )
            for task in self._get(path, limit=200)["task_instances"]
        ]

    def log(self, dag_id: str, run_id: str, task: TaskInstance) -> str:
        """The log of a task's last try, as plain text."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        content = self._get(path, full_content="true", map_index=task.map_index)["content"]
        return "\n".join(str(line) for line in content)

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a manual run with these parameters; returns its run id."""
        body = {"logical_date": None, "conf": conf}
        answer = self._http.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body).raise_for_status().json()
        return str(answer["dag_run_id"])

    def backfill(self, dag_id: str, first: datetime, last: datetime) -> None:
        """Have the DAG's runs of these logical dates made; it has to be unpaused for them to begin."""
        body = {"dag_id": dag_id, "from_date": first.isoformat(), "to_date": last.isoformat()}
        self._http.post("/api/v2/backfills", json=body).raise_for_status()

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Have these tasks of a run, and no others, run again."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._http.post(f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body).raise_for_status()

    def mark_successful(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Say that a task has succeeded that has not."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self._http.patch(path, json={"new_state": "success"}).raise_for_status()

    def wait_for_runs(
        self,
        dag_id: str,
        expected: Callable[[DagRun], bool],
        count: int,
        timeout_seconds: float,
        on_poll: Callable[[list[DagRun]], None] = lambda _: None,
    ) -> list[DagRun]:
        """Wait until ``count`` runs that are ``expected`` have finished, well or not.

        Raises:
            TimeoutError: they have not; the message lists the runs seen.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            runs = [run for run in self.runs(dag_id) if expected(run)]
            on_poll(runs)
            if len(runs) >= count and all(run.state in FINISHED for run in runs):
                return runs
            if time.monotonic() > deadline:
                raise TimeoutError(f"{dag_id} did not finish in {timeout_seconds:.0f} s: {runs}")
            time.sleep(1)
