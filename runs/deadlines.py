"""By when a day has to be there: what Airflow calls when it is not, and how it is known whether it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from runs.failures import foreseen
from segue.settings import Settings, get_settings
from segue.window import DAY

if TYPE_CHECKING:
    from loaders.warehouse.incidents import Incident

log = structlog.get_logger(__name__)

SEGMENTS: Final = "offer_segments"
_TOLD: Final = 200
"""Characters of a failure: the rest of one that names its causes too is for a log."""
_LONG_AGO: Final = timedelta(days=2)
"""A deadline that was over so long before anybody looked is one of a run that repeats the past."""


def marts_due(context: Mapping[str, Any]) -> None:
    """Airflow calls it when the marts' deadline has passed and the day's watch has not ended."""
    _due(get_settings(), context, is_online=False)


def segments_due(context: Mapping[str, Any]) -> None:
    """Airflow calls it when the segments' deadline has passed and the day's watch has not ended."""
    _due(get_settings(), context, is_online=True)


def _due(settings: Settings, context: Mapping[str, Any], *, is_online: bool) -> None:
    from runs.incidents import raise_or_tell

    day = _instant(context["dag_run"]["logical_date"]).date()
    due_at = _instant(context["deadline"]["deadline_time"])
    try:
        incident = missed(settings, day, due_at, datetime.now(UTC), is_online=is_online)
    except Exception as error:
        # Who cannot look is no reason to be silent.
        failure = foreseen(error)
        known = f"{failure.code}: {failure}"[:_TOLD] if failure else type(error).__name__
        incident = _incident(settings, day, due_at, known, is_online=is_online)
    if incident is None:
        log.info("deadline_not_missed", of_day=str(day), due_at=due_at.isoformat())
    else:
        raise_or_tell(settings, incident)


def _instant(told: str | datetime) -> datetime:
    return told if isinstance(told, datetime) else datetime.fromisoformat(told)


def missed(
    settings: Settings, day: date, due_at: datetime, now: datetime, *, is_online: bool
) -> Incident | None:
    """The incident of a deadline that has passed; None where the day is there after all, or long ago.

    Segments that are not online because their marts are not published are no second incident.

    Raises:
        WarehouseError: whether the day is published is not known.
    """
    if now - due_at > _LONG_AGO:
        return None
    published = is_published(settings, day)
    if published != is_online or (published and is_segments_online(settings, day)):
        return None
    return _incident(settings, day, due_at, _known(settings, day), is_online=is_online)


def look_for_segments(settings: Settings, day: date, now: datetime) -> bool:
    """Whether readers see a published day's segments; where they are late, it is told, one time.

    Raises:
        WarehouseError, LoadError: BigQuery or Bigtable did not answer.
    """
    from loaders.alerts.alert import AlertNotSentError
    from runs.incidents import raise_or_tell

    if is_segments_online(settings, day):
        return True
    if late := late_segments(settings, day, now):
        try:
            raise_or_tell(settings, late)
        except AlertNotSentError as error:
            # The next look tells; who waits for segments must not end for it.
            log.warning("alert_not_sent", cause=late.cause, reason=str(error))
    return False


def late_segments(settings: Settings, day: date, now: datetime) -> Incident | None:
    """The incident of a day whose segments are not online at ``now``; None: they are not due, or long ago.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    published_at = _first_published(settings, day)
    if published_at is None:
        return None
    due_at = segments_due_at(settings, day, published_at)
    if not due_at <= now <= due_at + _LONG_AGO:
        return None
    return _incident(settings, day, due_at, _known(settings, day), is_online=True)


def segments_due_at(settings: Settings, day: date, published_at: datetime) -> datetime:
    """Their deadline; of a day that is published late, as long after that as between both deadlines."""
    deadline = datetime.combine(day + DAY, time(), UTC) + timedelta(hours=settings.online_deadline_hours)
    load = timedelta(hours=max(0, settings.online_deadline_hours - settings.marts_deadline_hours))
    return max(deadline, published_at + load)


def _first_published(settings: Settings, day: date) -> datetime | None:
    """When the day's segments were published first; None: they are not."""
    from loaders.warehouse.client import warehouse_of
    from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table

    warehouse = warehouse_of(settings)
    ensure_ops_tables(warehouse, ["publications"])
    [row] = warehouse.run(
        f"select min(published_at) as first from `{ops_table(settings, 'publications')}` "
        f"where run_date >= {literal(day)} and partition_date = {literal(day)} and mart = {literal(SEGMENTS)}"
    )
    first: datetime | None = row.first
    return first


def _incident(settings: Settings, day: date, due_at: datetime, known: str, *, is_online: bool) -> Incident:
    from loaders.warehouse.incidents import Incident
    from runs.incidents import still_served
    from runs.task_defaults import OWNER

    late = "segments" if is_online else "marts"
    lack = "online" if is_online else "published"
    return Incident(
        day=day,
        cause=f"{late}_late",
        what=f"The {late} of {day} are not {lack}, due at {due_at:%Y-%m-%d %H:%M} UTC; {known}",
        since=due_at,
        ends_with="online" if is_online else "published",
        runbook=f"{late}_late",
        owner=OWNER,
        still_served=still_served(settings),
    )


def _known(settings: Settings, day: date) -> str:
    """What is known to be wrong of the day."""
    from loaders.warehouse.client import warehouse_of
    from loaders.warehouse.incidents import IncidentTable

    table = IncidentTable(warehouse_of(settings))
    table.ensure()
    causes = [each.incident.cause for each in table.live() if each.is_open and each.incident.day == day]
    return f"known of the day: {', '.join(causes)}" if causes else "no task has failed for good"


def is_published(settings: Settings, day: date) -> bool:
    """Whether a run has published the day's marts.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    return bool(_rows_published(settings, day))


def is_segments_online(settings: Settings, day: date) -> bool:
    """Whether readers see the day's segments or a later day's, or there is nothing to see yet.

    A company that brings billing only has no offers: nothing of its days is ever loaded.

    Raises:
        WarehouseError, LoadError: BigQuery or Bigtable did not answer.
    """
    from runs.incidents import online_day

    online = online_day(settings)
    if online is None:
        return not _rows_published(settings, day).get(SEGMENTS)
    return online >= day


def _rows_published(settings: Settings, day: date) -> dict[str, int]:
    """Rows of the day by mart, as published last."""
    from loaders.warehouse.client import warehouse_of
    from loaders.warehouse.ops import OF_MARTS, ensure_ops_tables, literal, ops_table

    warehouse = warehouse_of(settings)
    ensure_ops_tables(warehouse, ["publications"])
    rows = warehouse.run(
        f"select mart, row_count from `{ops_table(settings, 'publications')}` "
        f"where run_date >= {literal(day)} and partition_date = {literal(day)} and {OF_MARTS} "
        "order by published_at"
    )
    return {row.mart: int(row.row_count) for row in rows}
