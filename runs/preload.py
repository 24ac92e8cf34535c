"""An Airflow plugin: the scheduler loads what tasks import before it forks the processes that run them.

A day is four tasks, each a process of its own, and what they import takes them longer than what they do on
small data. Forked after the import they share it, memory included. Only libraries are loaded: the project's
own code may change while the scheduler runs.
"""

from __future__ import annotations

import sys
from typing import Any

from airflow.configuration import conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from segue.garbage import keep_what_is_there


class Preload:
    """Listens to the start of Airflow's components."""

    @hookimpl
    def on_starting(self, component: Any) -> None:  # noqa: ARG002 - Airflow calls it by its name
        """Load every step's libraries where tasks are forked from this very process."""
        if "scheduler" in sys.argv and conf.get("core", "executor") == "LocalExecutor":
            from runs.steps import STEPS

            for step in STEPS:
                step.load()
            keep_what_is_there()


class PreloadPlugin(AirflowPlugin):
    """Found by its entry point."""

    name = "segue_preload"
    listeners = [Preload()]  # noqa: RUF012 - Airflow reads it off the class
