"""Celery workers load what tasks import once, before they fork the processes that run them.

Named by ``AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS=runs.celery_worker.CONFIG``. What ``runs.preload`` is to the
local executor: without it, every task imports for longer than it works on small data.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.signals import import_modules

from runs.steps import STEPS
from segue.garbage import keep_what_is_there

CONFIG = DEFAULT_CELERY_CONFIG


@import_modules.connect
def load_steps(**_: Any) -> None:
    """Sent in a worker before it forks, and in no other process that reads the configuration."""
    for step in STEPS:
        step.load()
    keep_what_is_there()
