"""``ops.incidents``: what is wrong of which day, and who was told; each told one time, whoever finds it.

An INSERT of BigQuery never conflicts with another, so two that look at the same moment may both record an
incident: they give it the same id, and it is one. Whoever tells claims it by an UPDATE before, and of two
UPDATEs of the same rows one is refused and made again, when it sees the other's claim.
https://docs.cloud.google.com/bigquery/docs/data-manipulation-language#dml-concurrency
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from loaders.alerts.alert import Severity, Transition
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table, this_run

EndsWith = Literal[
    "published",
    "restated",
    "online",
    "content",
    "readouts",
    "judged",
    "arrived",
    "watched",
    "measured",
    "trained",
    "stopped",
    "by_hand",
]
"""What a recovery is: the day is published, or each chunk of a range; it or a later day is online; content
was pulled; readouts were written; the day was judged again and is as usual; the feed arrived; the day or a
later one was watched; the model was measured again and is as in training; models were trained; the experiment
exposes nobody any more; somebody says so."""

_CLAIM: Final = timedelta(minutes=10)
"""Whoever has not told by then is dead."""
_KEPT: Final = timedelta(days=7)
"""Of what has been over for longer nobody is told any more."""


@dataclass(frozen=True)
class Incident:
    """Something that somebody has to know, of one day, or the days from ``first_day`` to it, and one cause.

    ``runbook`` is the code of the runbook's entry. It is told once for its day, its cause and what ends it
    (BigQuery away stops a publication, and a load, and neither ends the other), until it is over;
    with ``spans_days`` once for its cause, on whatever days it shows until it is over, with ``is_once`` once
    ever.
    """

    day: date
    cause: str
    what: str
    since: datetime
    ends_with: EndsWith
    runbook: str
    owner: str
    severity: Severity = "error"
    still_served: str = ""
    is_once: bool = False
    spans_days: bool = False
    first_day: date | None = None

    @property
    def key(self) -> str:
        """What makes two of them the same."""
        if self.is_once or self.spans_days:
            return self.cause
        days = f"{self.day}" if self._first == self.day else f"{self._first}..{self.day}"
        return f"{days}:{self.cause}:{self.ends_with}"

    def lies_within(self, first: date, last: date) -> bool:
        """Whether all its days are among those from ``first`` to ``last``: some of them do not end it."""
        return first <= self._first and self.day <= last

    @property
    def _first(self) -> date:
        return self.first_day or self.day


@dataclass(frozen=True)
class RecordedIncident:
    """An incident as it is recorded; ``told`` are the channels that were told of either transition."""

    incident_id: str
    incident: Incident
    told: Mapping[Transition, frozenset[str]]
    closed_at: datetime | None
    closed_because: str | None
    opened_by: str

    @property
    def is_open(self) -> bool:
        """Whether nobody has seen a recovery yet."""
        return self.closed_at is None

    def untold(self, channels: Iterable[str]) -> list[tuple[Transition, str]]:
        """What is still to be told by which of the channels; that it is over, only where it was told of."""
        if self.is_open:
            return [("opened", name) for name in channels if name not in self.told["opened"]]
        return [("closed", name) for name in channels if name in self.told["opened"] - self.told["closed"]]

    def with_told(self, transition: Transition, channel: str) -> RecordedIncident:
        """The same, when one more was told."""
        return replace(self, told={**self.told, transition: self.told[transition] | {channel}})


class IncidentTable:
    """The incidents of a warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._table = ops_table(warehouse.settings, "incidents")
        self._all_days = f"run_date >= {literal(warehouse.settings.history_start_date)}"

    def ensure(self) -> None:
        """Create the table when it is missing.

        Raises:
            WarehouseError: BigQuery refused, or did not answer.
        """
        ensure_ops_tables(self._warehouse, ["incidents"])

    def live(self) -> list[RecordedIncident]:
        """What is open, and what has been over for a few days at most, by the day.

        Raises:
            WarehouseError: BigQuery did not answer.
        """
        over = literal(datetime.now(UTC) - _KEPT)
        return self._read(f"closed_at is null or closed_at >= {over}")

    def open(self, incidents: Iterable[Incident]) -> str:
        """Record those that are not there; returns what ``opened_by`` says of the new ones.

        Raises:
            WarehouseError: BigQuery did not take one.
        """
        token = uuid.uuid4().hex
        for incident in incidents:
            self._warehouse.run(self._insert(incident, token))
        return token

    def close(self, incident_ids: Collection[str], because: str) -> None:
        """Say that they are over.

        Raises:
            WarehouseError: BigQuery did not take it.
        """
        self._update(
            f"closed_at = {literal(datetime.now(UTC))}, closed_because = {literal(because)}",
            f"closed_at is null and incident_id in unnest({literal(sorted(incident_ids))})",
        )

    def claim(self, incident_ids: Collection[str]) -> list[RecordedIncident]:
        """Those that nobody else is telling of at this moment; to be given back by ``told``.

        Raises:
            WarehouseError: BigQuery did not answer.
        """
        claim, now = uuid.uuid4().hex, datetime.now(UTC)
        ids = f"incident_id in unnest({literal(sorted(incident_ids))})"
        fresh = f"claimed_by is not null and claimed_at >= {literal(now - _CLAIM)}"
        self._update(
            f"claimed_by = {literal(claim)}, claimed_at = {literal(now)}",
            f"{ids} and incident_id not in "
            f"(select incident_id from `{self._table}` where {self._all_days} and {fresh})",
        )
        mine = f"claimed_by = {literal(claim)} and {self._all_days}"
        return self._read(f"incident_id in (select incident_id from `{self._table}` where {mine})")

    def told(self, recorded: RecordedIncident) -> None:
        """Note who was told, and give the claim back.

        Raises:
            WarehouseError: BigQuery did not take it; the claim ends by itself, and they are told again.
        """
        names = {transition: json.dumps(sorted(recorded.told[transition])) for transition in recorded.told}
        self._update(
            f"opened_told = {literal(names['opened'])}, closed_told = {literal(names['closed'])}, "
            "claimed_by = null, claimed_at = null",
            f"incident_id = {literal(recorded.incident_id)}",
        )

    def _insert(self, incident: Incident, token: str) -> str:
        """The statement that records an incident, unless it is there.

        ``number`` counts how often it has come back after it was over.
        """
        key, table = literal(incident.key), self._table
        columns: dict[str, str] = {
            name: literal(value)
            for name, value in {
                "run_date": incident.day,
                "key": incident.key,
                "cause": incident.cause,
                "severity": incident.severity,
                "what": incident.what,
                "owner": incident.owner,
                "still_served": incident.still_served,
                "runbook": incident.runbook,
                "ends_with": incident.ends_with,
                "since_at": incident.since,
                "opened_at": datetime.now(UTC),
                "opened_by": token,
                "opened_told": "[]",
                "closed_told": "[]",
            }.items()
        }
        columns["run_id"] = this_run()
        columns["first_date"] = f"cast({literal(incident.first_day)} as date)"
        columns["incident_id"] = f"concat({key}, '#', cast(earlier.closed + 1 as string))"
        there = "earlier.open = 0" + (" and earlier.closed = 0" if incident.is_once else "")
        return (
            f"insert into `{table}` ({', '.join(f'`{name}`' for name in columns)})\n"
            f"select {', '.join(columns.values())}\n"
            "from (select count(distinct if(closed_at is null, null, incident_id)) as closed, "
            f"countif(closed_at is null) as open from `{table}` where {self._all_days} and `key` = {key}) "
            f"as earlier where {there}"
        )

    def _update(self, change: str, where: str) -> None:
        self._warehouse.run(f"update `{self._table}` set {change} where {self._all_days} and {where}")

    def _read(self, where: str) -> list[RecordedIncident]:
        rows = self._warehouse.run(
            f"select * from `{self._table}` where {self._all_days} and ({where}) "
            "order by run_date, opened_at, incident_id"
        )
        found: dict[str, RecordedIncident] = {}
        for row in rows:
            recorded = _recorded(row)
            if row.incident_id in found:
                # Two have recorded it at the same moment.
                for transition, names in found[row.incident_id].told.items():
                    for name in names:
                        recorded = recorded.with_told(transition, name)
            found[row.incident_id] = recorded
        return list(found.values())


def _recorded(row: Any) -> RecordedIncident:
    incident = Incident(
        day=row.run_date,
        cause=row.cause,
        what=row.what,
        since=row.since_at,
        ends_with=row.ends_with,
        runbook=row.runbook,
        owner=row.owner,
        severity=row.severity,
        still_served=row.still_served,
        spans_days=row.key == row.cause,
        first_day=row.first_date,
    )
    told: dict[Transition, frozenset[str]] = {
        "opened": frozenset(json.loads(row.opened_told)),
        "closed": frozenset(json.loads(row.closed_told)),
    }
    return RecordedIncident(row.incident_id, incident, told, row.closed_at, row.closed_because, row.opened_by)
