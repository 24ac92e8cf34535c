"""What every Airflow task of Segue has in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from segue.settings import Settings


def task_defaults(settings: Settings) -> dict[str, Any]:
    """``default_args`` of a DAG: owner, retries with growing waits, a limit on one try's time."""
    return {
        "owner": "subscriptions-data",
        "retries": settings.task_retries,
        "retry_delay": timedelta(seconds=settings.task_retry_delay_seconds),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "execution_timeout": timedelta(hours=2),
    }
