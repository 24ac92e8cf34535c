"""What is looked at once a day is published: whether its feeds and marts are as they usually are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.incidents import EndsWith, Incident, IncidentTable
from loaders.warehouse.ops import OF_MARTS, ensure_ops_tables, literal, ops_table
from runs.feed_freshness import LOOK_BACK, arrived_since, stale_feeds
from runs.incidents import close_incidents, first_named, raise_incidents, still_served
from runs.task_defaults import OWNER
from runs.volume_anomalies import WEEKS, VolumeAnomaly, anomalies
from segue.settings import Settings
from segue.window import DAY, days_between

VOLUME: Final = "volume"
STALE: Final = "feed_stale"
_JUDGED_AGAIN: Final = timedelta(days=28)
"""A day whose incident is still open is judged again for so long: what was missing may have come. Then it is
over: by then days like it are expected."""
_BEFORE: Final = timedelta(days=7 * WEEKS)


@dataclass(frozen=True)
class WatchedDay:
    """What a look at a day has found, and what it has found to be over."""

    found: tuple[Incident, ...]
    is_over: tuple[Incident, ...]

    def lines(self) -> list[str]:
        """For a log."""
        wrong = [f"{each.cause}: {each.what}" for each in self.found]
        over = [f"over: {each.day}: {each.cause}" for each in self.is_over]
        return [*wrong, *over] or ["as usual"]


def watch_feeds(settings: Settings, day: date) -> WatchedDay:
    """Whether every feed delivers as often as it has, by the ledger of landings.

    A feed that has brought rows after ``day`` is not late: who looks at an older day again has nothing to
    tell.

    Raises:
        AlertNotSentError: somebody could not be told; the next look tells.
        WarehouseError: BigQuery did not answer.
    """
    warehouse = warehouse_of(settings)
    delivered: dict[str, list[date]] = {}
    awaited = settings.feeds
    for feed, arrived, rows in _landed(warehouse, day - LOOK_BACK, date.max):
        if rows and (awaited is None or feed in awaited):
            delivered.setdefault(feed, []).append(arrived)
    incidents = [
        _incident(
            settings,
            each.last_day + DAY,
            f"{STALE}:{each.feed}",
            each.describe(),
            "arrived",
            STALE,
        )
        for each in stale_feeds(delivered, day)
        if not arrived_since(delivered, each.feed, each.last_day + DAY)
    ]
    raised = raise_incidents(settings, incidents)
    over = close_incidents(
        settings,
        "arrived",
        "rows have arrived",
        lambda each: arrived_since(delivered, _feed_of(each), each.day),
    )
    if awaited is not None:
        over += close_incidents(
            settings,
            "arrived",
            "SEGUE_FEEDS does not name it any more",
            lambda each: _feed_of(each) not in awaited,
        )
    return WatchedDay(tuple(raised), tuple(over))


def _feed_of(incident: Incident) -> str:
    return incident.cause.removeprefix(f"{STALE}:")


def watch_volumes(settings: Settings, day: date) -> WatchedDay:
    """Whether feeds and marts have as many rows on the day as the same weekday of the weeks before.

    What is missing in a feed is missing in the marts made of it, so a day has one incident, which names them
    all. Days before it whose incident is still open are judged again for four weeks.

    Raises:
        AlertNotSentError: somebody could not be told; the next look tells.
        WarehouseError: BigQuery did not answer.
    """
    warehouse = warehouse_of(settings)
    table = IncidentTable(warehouse)
    table.ensure()
    known = {
        each.incident.day
        for each in table.live()
        if each.is_open and each.incident.cause == VOLUME and each.incident.day < day
    }
    again = {each for each in known if day - _JUDGED_AGAIN <= each}
    judged = {each: _anomalies(warehouse, each) for each in sorted({day, *again})}
    incidents = [
        _incident(
            settings, each, VOLUME, first_named([series.describe() for series in found]), "judged", VOLUME
        )
        for each, found in judged.items()
        if found
    ]
    raised = raise_incidents(settings, incidents)
    over = close_incidents(
        settings,
        "judged",
        "it was judged again and is as usual",
        lambda each: each.day in judged and not judged[each.day],
    )
    if known - again:
        over += close_incidents(
            settings,
            "judged",
            f"it is not judged again after {_JUDGED_AGAIN.days} days",
            lambda each: each.day < day - _JUDGED_AGAIN,
        )
    return WatchedDay(tuple(raised), tuple(over))


def _anomalies(warehouse: Warehouse, day: date) -> list[VolumeAnomaly]:
    days = list(days_between(day - _BEFORE, day))
    place = {each: number for number, each in enumerate(days)}
    counts: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    for kind, found in (
        ("feed", _landed(warehouse, days[0], day)),
        ("mart", _published(warehouse, days[0], day)),
    ):
        for name, of_day, rows in found:
            counts.setdefault(f"{kind} {name}", np.zeros(len(days)))[place[of_day]] = rows
    names = sorted(counts)
    return anomalies(names, np.stack([counts[name] for name in names], axis=1)) if names else []


def _landed(warehouse: Warehouse, first: date, last: date) -> list[tuple[str, date, int]]:
    """(feed, arrival day, rows) of what has landed."""
    ensure_ops_tables(warehouse, ["run_ledger"])
    rows = warehouse.run(
        f"select table_name, run_date, rows_out from `{ops_table(warehouse.settings, 'run_ledger')}` "
        f"where run_date between {literal(first)} and {literal(last)} and step = 'land'"
    )
    return [(row.table_name, row.run_date, int(row.rows_out)) for row in rows]


def _published(warehouse: Warehouse, first: date, last: date) -> list[tuple[str, date, int]]:
    """(mart, day, rows) as they were when each day was published first, and of the last day as they are now.

    Late events fill days for two weeks: a day that has just been published is compared with others when they
    had just been.
    """
    ensure_ops_tables(warehouse, ["publications"])
    rows = warehouse.run(
        "select mart, partition_date, row_count from (select mart, partition_date, row_count, row_number() "
        "over (partition by mart, partition_date order by "
        f"if(partition_date = {literal(last)}, -1, 1) * unix_micros(published_at)) as place "
        f"from `{ops_table(warehouse.settings, 'publications')}` "
        f"where run_date >= {literal(first)} and partition_date between {literal(first)} and {literal(last)} "
        f"and {OF_MARTS}) where place = 1"
    )
    return [(row.mart, row.partition_date, int(row.row_count)) for row in rows]


def _incident(
    settings: Settings, day: date, cause: str, what: str, ends_with: EndsWith, runbook: str
) -> Incident:
    return Incident(
        day=day,
        cause=cause,
        what=what,
        since=datetime.now(UTC),
        ends_with=ends_with,
        runbook=runbook,
        owner=OWNER,
        severity="warning",
        still_served=still_served(settings),
    )
