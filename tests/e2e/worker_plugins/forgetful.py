"""An Airflow plugin of the tests' workers: every task begins where no other has left anything."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


class Forgetful:
    """Listens in the process of each task, before the task does anything."""

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002
        """Empty the state folder, and note whose it was from now on."""
        folder = Path(os.environ["SEGUE_STATE_DIR"])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        began = {
            "dag_id": task_instance.dag_id,
            "run_id": task_instance.run_id,
            "task_id": task_instance.task_id,
            "pid": os.getpid(),
            "seconds": time.time(),
        }
        with (folder.parent / "began.jsonl").open("a") as lines:
            lines.write(json.dumps(began) + "\n")


class ForgetfulPlugin(AirflowPlugin):
    """Found in the folder of plugins."""

    name = "forgetful"
    listeners = [Forgetful()]  # noqa: RUF012 - Airflow reads it off the class
