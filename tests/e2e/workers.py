"""Celery workers that share no disk, with redis between them and the scheduler.

Of what a worker has on its own disk no task sees anything but what itself has written: its state folder is
emptied before each. In common they have what a deployment gives all of them: the code with its parsed dbt
project, and a place for logs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.platform import Platform
from tests.bigquery_process import dying_with_parent, free_port

PLUGINS = Path(__file__).parent / "worker_plugins"


@dataclass(frozen=True)
class Began:
    """A task began in this process, with an empty state folder."""

    dag_id: str
    run_id: str
    task_id: str
    pid: int
    seconds: float
    """Since the epoch."""


@dataclass(frozen=True)
class Worker:
    """A worker for one task at a time, and the folder that is its alone."""

    folder: Path

    def began(self) -> list[Began]:
        """Its tasks so far."""
        file = self.folder / "began.jsonl"
        return [Began(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def kill(began: Began) -> None:
    """SIGKILL to who supervises a task, which would report its end, and to the task."""
    task = psutil.Process(began.pid)
    supervisor = task.parent()
    assert supervisor is not None
    for process in (supervisor, task):
        process.send_signal(signal.SIGKILL)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Debian's redis on a free port; gives its URL."""
    port = free_port()
    where = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with background(["redis-server", *where], folder / "redis.log", {}):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def worker(platform: Platform, name: str, environment: dict[str, str]) -> Iterator[Worker]:
    """A worker with ``environment`` beside that of the platform's Airflow."""
    folder = platform.state_dir / f"worker-{name}"
    folder.mkdir()
    own = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "SEGUE_STATE_DIR": str(folder / "state"),
    }
    command = ["celery", "worker", "--concurrency", "1", "--celery-hostname", name, "--skip-serve-logs"]
    with background(
        [sys.executable, "-m", "airflow", *command],
        folder / "worker.log",
        {**platform.airflow_environment, **environment, **own},
    ):
        yield Worker(folder)


@contextmanager
def background(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    """A process with ``environment`` on top of this one's, which has to live until the context is left."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            dying_with_parent(command), env=os.environ | environment, stdout=output, stderr=output
        )
    try:
        yield
        assert running.poll() is None, log.read_text()[-3000:]
    finally:
        # Nothing here is worth waiting for a task's end.
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(running.pid).children(recursive=True):
                process.kill()
        running.kill()
        running.wait(60)
