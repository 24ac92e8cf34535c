"""Incidents: found, told one time by every channel, and told to be over when a recovery is seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Final

import structlog

from loaders.alerts.alert import Alert, AlertNotSentError, Channel, Transition
from loaders.alerts.channels import channels_of
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import EndsWith, Incident, IncidentTable, RecordedIncident
from loaders.warehouse.ops import literal, ops_table
from runs.failures import foreseen
from runs.task_defaults import OWNER
from segue.addresses import day_page, runbook_page
from segue.settings import Settings

log = structlog.get_logger(__name__)

UNRECORDED: Final = "unrecorded"
_NAMED: Final = 5
WATCHED: Final = (
    "marts_late", "segments_late", "feed_stale", "volume", "experiment_must_stop", "model_drift", "fault",
)  # fmt: skip
"""What is told of that is no failure with a code, as the runbook names it."""


def raise_incidents(settings: Settings, incidents: Iterable[Incident]) -> list[Incident]:
    """Record what is wrong and tell of it; what is known already is not told again.

    Also tells what could not be told before. Returns those that are new, or that this call told of first.

    Raises:
        AlertNotSentError: a channel did not take an alert of one of these; the next call tries again.
        WarehouseError: BigQuery did not answer.
    """
    found = list(incidents)
    if not found:
        return []
    table = IncidentTable(warehouse_of(settings))
    table.ensure()
    token = table.open(found)
    live = table.live()
    for each in live:
        if each.opened_by == token:
            log.error("incident_opened", **_for_log(each))
    keys = {each.key for each in found}
    told = tell(settings, live, {each.incident_id for each in live if each.incident.key in keys})
    return [each.incident for each in live if each.opened_by == token or each.incident_id in told]


def first_named(sentences: Sequence[str]) -> str:
    """The first five of what is wrong, and how many more there are: an alert is read at once."""
    named, more = "; ".join(sentences[:_NAMED]), len(sentences) - _NAMED
    return f"{named}; and {more} more" if more > 0 else named


def tell(
    settings: Settings,
    live: Sequence[RecordedIncident] | None = None,
    answerable: Collection[str] | None = None,
) -> set[str]:
    """Tell what nobody was told yet; returns the ids of what was told to be there, by a channel at least.

    An incident is claimed before it is told and noted afterwards, so that it is told once; a process that is
    killed in between has it told a second time, rather than never.

    Raises:
        AlertNotSentError: a channel did not take an alert of an incident that the caller is ``answerable``
            for, by its id (None: for all); the others were told. That of another one is logged.
        WarehouseError: BigQuery did not answer.
    """
    channels = {channel.name: channel for channel in channels_of(settings)}
    if not channels:
        return set()
    table = IncidentTable(warehouse_of(settings))
    if live is None:
        table.ensure()
        live = table.live()
    due = [each.incident_id for each in live if each.untold(channels)]
    told: set[str] = set()
    failures: dict[str, AlertNotSentError] = {}
    for claimed in table.claim(due) if due else ():
        known = claimed
        for transition, name in claimed.untold(channels):
            try:
                _send(channels[name], _alert(settings, claimed, transition))
            except AlertNotSentError as error:
                log.warning("alert_not_sent", incident=claimed.incident_id, reason=str(error))
                failures.setdefault(claimed.incident_id, error)
                continue
            known = known.with_told(transition, name)
            if transition == "opened":
                told.add(claimed.incident_id)
        table.told(known)
    for incident_id, failure in failures.items():
        if answerable is None or incident_id in answerable:
            raise failure
    return told


def close_incidents(
    settings: Settings,
    ends_with: EndsWith,
    because: str,
    is_over: Callable[[Incident], bool] = lambda _: True,
) -> list[Incident]:
    """Say of open incidents that end so, and of which it ``is_over``, that they are; and tell.

    Raises:
        AlertNotSentError: a channel did not take an alert of one of these; the next call tries again.
        WarehouseError: BigQuery did not answer.
    """
    table = IncidentTable(warehouse_of(settings))
    table.ensure()
    live = table.live()
    over = [
        each
        for each in live
        if each.is_open and each.incident.ends_with == ends_with and is_over(each.incident)
    ]
    if over:
        table.close([each.incident_id for each in over], because)
        for each in over:
            log.info("incident_closed", because=because, **_for_log(each))
        live = table.live()
    tell(settings, live, {each.incident_id for each in over})
    return [each.incident for each in over]


def close_by_hand(settings: Settings, incident_id: str, because: str) -> bool:
    """Say that an incident is over, and tell; False: it is not open.

    Raises:
        AlertNotSentError: a channel did not take an alert; the next call tries again.
        WarehouseError: BigQuery did not answer.
    """
    table = IncidentTable(warehouse_of(settings))
    table.ensure()
    if not any(each.incident_id == incident_id and each.is_open for each in table.live()):
        return False
    table.close([incident_id], because)
    tell(settings, answerable=[incident_id])
    return True


def recovered(
    settings: Settings,
    ends_with: EndsWith,
    because: str,
    is_over: Callable[[Incident], bool] = lambda _: True,
) -> None:
    """Close what a success ends; where that cannot be told, it is logged, and the success stays one."""
    try:
        close_incidents(settings, ends_with, because, is_over)
    except Exception as error:
        # A fault too: what has succeeded is done, and a retry would do it again.
        failure = foreseen(error)
        kind = type(error).__name__
        log.warning("recovery_not_told", code=failure.code if failure else kind, reason=str(failure or kind))


def raise_or_tell(settings: Settings, incident: Incident) -> None:
    """Record and tell; where the warehouse does not answer, tell all the same, rather twice than never.

    Raises:
        AlertNotSentError: a channel did not take it.
    """
    try:
        raise_incidents(settings, [incident])
    except AlertNotSentError:
        raise
    except Exception as error:
        failure = foreseen(error)
        code = failure.code if failure else type(error).__name__
        log.error("incident_not_recorded", code=code, cause=incident.cause, day=str(incident.day))
        unrecorded = RecordedIncident(
            f"{incident.key}#{UNRECORDED}", incident, {"opened": frozenset()}, None, None, ""
        )
        _tell_all(channels_of(settings), _alert(settings, unrecorded, "opened"))


def still_served(settings: Settings) -> str:
    """What analysts and online services see at this moment, as far as the operational tables tell."""
    marts, offers = "marts as they were last published", "the offers that were loaded last"
    with suppress(Exception):
        since = literal(settings.history_start_date)
        [row] = warehouse_of(settings).run(
            f"select (select max(run_date) from `{ops_table(settings, 'publications')}` "
            f"where run_date >= {since}) as published, "
            f"(select max(run_date) from `{ops_table(settings, 'run_ledger')}` "
            f"where run_date >= {since} and step = 'bigtable_load') as loaded"
        )
        marts = f"marts up to {row.published}" if row.published else "no marts yet"
        offers = f"offers of {row.loaded}" if row.loaded else "no offers yet"
    return f"{marts}, {offers}"


def online_day(settings: Settings) -> date | None:
    """The day whose segments readers see; None: nothing is online.

    Raises:
        LoadError: Bigtable did not answer, or has no such table.
    """
    from loaders.bigtable import list_generations

    days = [each.manifest.segment_date for each in list_generations(settings) if each.is_published]
    return days[0] if days else None


def _send(channel: Channel, alert: Alert) -> None:
    try:
        channel.send(alert)
    except AlertNotSentError:
        raise
    except Exception as error:
        # A fault of the channel's. Its text may show what it was given, a password or an address.
        raise AlertNotSentError(f"{channel.name}: {type(error).__name__}") from None


def _tell_all(channels: Iterable[Channel], alert: Alert) -> None:
    failures: list[AlertNotSentError] = []
    for channel in channels:
        try:
            _send(channel, alert)
        except AlertNotSentError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _alert(settings: Settings, recorded: RecordedIncident, transition: Transition) -> Alert:
    incident = recorded.incident
    return Alert(
        incident_id=recorded.incident_id,
        transition=transition,
        day=incident.day,
        cause=incident.cause,
        severity=incident.severity,
        what=incident.what,
        since=incident.since,
        owner=incident.owner,
        still_served=incident.still_served,
        runbook=runbook_page(settings, incident.runbook),
        day_page=day_page(settings, incident.day),
        closed_at=recorded.closed_at,
        closed_because=recorded.closed_because,
    )


def _for_log(recorded: RecordedIncident) -> dict[str, str]:
    incident = recorded.incident
    return {
        "incident": recorded.incident_id,
        "cause": incident.cause,
        "what": incident.what,
        "owner": incident.owner,
        "of_day": incident.day.isoformat(),
    }


def channel_test(settings: Settings) -> list[tuple[str, str]]:
    """Send a test alert, and that it is over, by every channel; by name what went wrong, empty: nothing."""
    now = datetime.now(UTC)
    incident = Incident(
        day=now.date(),
        cause="test",
        what="Somebody tries whether alerts arrive; nothing is wrong.",
        since=now,
        ends_with="by_hand",
        runbook="alert_not_sent",
        owner=OWNER,
        severity="warning",
        still_served="everything",
    )
    untold: dict[Transition, frozenset[str]] = {"opened": frozenset(), "closed": frozenset()}
    opened = RecordedIncident(f"test:{now.isoformat()}", incident, untold, None, None, "")
    closed = RecordedIncident(opened.incident_id, incident, untold, now, "it was a test", "")
    results = []
    for channel in channels_of(settings):
        try:
            _send(channel, _alert(settings, opened, "opened"))
            _send(channel, _alert(settings, closed, "closed"))
            results.append((channel.name, ""))
        except AlertNotSentError as error:
            results.append((channel.name, str(error)))
    return results
