"""Attempts: each build has an audit dataset of its own, into which no other run, retry or zombie writes."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta

from loaders.warehouse.client import warehouse_of
from runs.dbt import dbt_artefacts, ensure_parsed, project_digest
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import ATTEMPT_TIME, RunWindow

_ATTEMPT = re.compile(r"_\d{8}_(?P<began>\d{14})_[0-9a-f]{4}$")


class OtherProjectError(SegueError):
    """The dbt project is not the one that built the run."""

    code = "other_project"
    hint = "clear `build` with the tasks after it: the days are built by the project of now"
    is_final = True


def begin_attempt(settings: Settings, window: RunWindow) -> RunWindow:
    """The run with a new, empty audit dataset, whose tables BigQuery removes should nobody do it before.

    Raises:
        BuildError: the project does not parse.
    """
    attempt = window.new_attempt(settings, ensure_parsed(settings))
    warehouse_of(settings).ensure_dataset(attempt.audit_dataset, tables_expire_after=_retention(settings))
    return attempt


def continue_attempt(settings: Settings, window: RunWindow) -> None:
    """Have the parsed project here, on whichever worker this is, and be sure that it built the run.

    Raises:
        BuildError: the project does not parse.
        OtherProjectError: a deployment came between the build and this step.
    """
    if window.project_digest and window.project_digest != project_digest(settings.dbt_project_dir):
        raise OtherProjectError(f"the dbt project has changed since {window} was built")
    ensure_parsed(settings)


def end_attempt(settings: Settings, window: RunWindow) -> list[str]:
    """Remove what an attempt was built in, and what others left whose time is over; returns their datasets.

    Raises:
        WarehouseError: BigQuery refused.
    """
    warehouse, now = warehouse_of(settings), datetime.now(UTC)
    names = [name for name in warehouse.datasets() if _is_over(settings, name, now)]
    dropped = sorted({window.audit_dataset, *names})
    for name in dropped:
        warehouse.drop_dataset(name)
    folder = dbt_artefacts(settings)
    kept = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    for name in kept:
        if name == window.audit_dataset or _is_over(settings, name, now):
            shutil.rmtree(folder / name, ignore_errors=True)
    return dropped


def _retention(settings: Settings) -> timedelta:
    return timedelta(days=settings.audit_retention_days)


def _is_over(settings: Settings, name: str, now: datetime) -> bool:
    found = _ATTEMPT.search(name)
    if found is None or not name.startswith(f"{settings.audit_dataset_prefix}_"):
        return False
    began = datetime.strptime(found["began"], ATTEMPT_TIME).replace(tzinfo=UTC)
    return now - began > _retention(settings)
