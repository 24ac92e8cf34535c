"""Billing exports that are made again: in the order of their arrival, each replaces what it speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby

from tests.dbt.reference.company import Event

UNTOLD_END = "synthetic_expiry"
"""Id of an end that follows from two exports and that none of them told."""


@dataclass
class _Told:
    """What is held of a subscription after the exports so far."""

    events: list[Event] = field(default_factory=list)
    named_by: str | None = None
    """The export that named it last, None once it is withdrawn."""


def held(deliveries: Iterable[Event]) -> list[Event]:
    """The events that still hold once all of these have arrived; those of other providers all do."""
    found: dict[str, _Told] = {}
    ordered = sorted(deliveries, key=lambda event: event.arrival_date)
    for _, arrived in groupby(ordered, key=lambda event: event.arrival_date):
        today = list(arrived)
        named: dict[str, list[Event]] = {}
        for event in today:
            told = found.setdefault(event.subscription_id, _Told())
            if event.export_covers:
                named.setdefault(event.subscription_id, []).append(event)
            else:
                told.events.append(event)
        for subscription_id, statement in named.items():
            _tell(found[subscription_id], statement, today[0].arrival_date)
        _withdraw(found, today)
    return [event for told in found.values() for event in told.events]


def _tell(told: _Told, statement: list[Event], arrived: date) -> None:
    first = min(statement, key=_order)
    if first.export_covers == "rolling":
        begun = {event.occurred_at for event in statement if event.event_type != "expired"}
        told.events = [
            event
            for event in told.events
            if _is_of_today(event, arrived) or _stays(event, first.occurred_at, begun)
        ]
        before = _last_edge(told.events, first.occurred_at, arrived)
        if before:
            statement = _linked(told, before, first, statement)
    else:
        told.events = [event for event in told.events if _is_of_today(event, arrived)]
    told.events += statement
    told.named_by = first.export_name


def _is_of_today(event: Event, arrived: date) -> bool:
    return event.provider != "periods" or (event.arrival_date == arrived and event.export_covers is None)


def _stays(event: Event, first: datetime, begun: set[datetime]) -> bool:
    """Whether the period of an earlier event had ended when the first of the newest export begins."""
    end = _ends(event)
    is_taken_up = event.event_type == "expired" and event.occurred_at in begun
    return end is not None and end <= first and not is_taken_up


def _ends(event: Event) -> datetime | None:
    return event.period_end_at or (event.occurred_at if event.event_type == "expired" else None)


def _order(event: Event) -> tuple[datetime, bool]:
    return event.occurred_at, event.event_type == "expired"


def _last_edge(events: Iterable[Event], until: datetime, arrived: date) -> Event | None:
    theirs = [e for e in events if e.provider == "periods" and e.arrival_date < arrived]
    return max((e for e in theirs if e.occurred_at <= until), key=_order, default=None)


def _linked(told: _Told, before: Event, first: Event, statement: list[Event]) -> list[Event]:
    """The first period goes on from the last that was told before, or comes back after a gap."""
    end = _ends(before)
    assert end is not None
    if end < first.occurred_at:
        kind = "trial_started" if first.event_type == "trial_started" else "reactivated"
        if before.event_type != "expired":
            told.events.append(
                Event(
                    "periods", UNTOLD_END, before.subscription_id, "expired", end, first.ingested_at,
                    account_id=before.account_id, reason="missing_at_source",
                )
            )  # fmt: skip
    elif first.event_type == "trial_started":
        kind = "plan_changed"
    elif before.trial_ends_at:
        kind = "trial_converted"
    else:
        kind = "renewed" if _terms(before) == _terms(first) else "plan_changed"
    return [replace(event, event_type=kind) if event is first else event for event in statement]


def _terms(event: Event) -> tuple[object, ...]:
    return event.plan_id, event.price_amount, event.is_price_unknown, event.currency


def _withdraw(found: Mapping[str, _Told], today: list[Event]) -> None:
    """A complete export speaks of everybody: whom it does not name, it takes back."""
    complete = {event.export_name for event in today if event.export_covers == "complete"}
    named = {event.subscription_id for event in today if event.export_name in complete}
    for subscription_id, told in found.items():
        if told.named_by in complete and told.named_by is not None and subscription_id not in named:
            told.events = [event for event in told.events if event.provider != "periods"]
            told.named_by = None
