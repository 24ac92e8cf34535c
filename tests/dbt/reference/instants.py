"""What events mean for a subscription's state, and in which order those of one instant can have happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import zip_longest

from tests.dbt.reference.company import Event

RANK = {
    name: rank
    for rank, name in enumerate(
        [
            "trial_started", "started", "reactivated", "trial_converted", "grace_started",
            "billing_retry_started", "renewed", "plan_changed", "price_changed", "auto_renew_off",
            "auto_renew_on", "recovered", "paused", "resumed", "refunded", "refund_reversed", "revoked",
            "expired",
        ],
        start=1,
    )
}  # fmt: skip
"""Order of the events of one instant, where the state before them allows any."""

STARTS = {"trial_started", "started"}
OPENINGS = {*STARTS, "reactivated"}
ENDS = {"expired", "revoked"}
STOPS = {"billing_retry_started": "recovered", "paused": "resumed"}
"""What interrupts a subscription, and what takes that back."""
SWITCHES = {"auto_renew_off": "auto_renew_on", "auto_renew_on": "auto_renew_off"}

ENTERS = {
    "trial_started": "trial", "started": "active", "trial_converted": "active", "renewed": "active",
    "recovered": "active", "resumed": "active", "reactivated": "active", "grace_started": "grace",
    "billing_retry_started": "billing_retry", "paused": "paused", "expired": "ended", "revoked": "ended",
}  # fmt: skip


def entered_state(event: Event) -> str | None:
    """The state that an event enters; None: it leaves the state as it is."""
    if event.event_type == "refund_reversed":
        return "active" if (event.period_end_at or event.occurred_at) > event.occurred_at else None
    return ENTERS.get(event.event_type)


def is_opening(event: Event) -> bool:
    """Whether it begins what is not running; a refund that is taken back restores what it ended."""
    if event.event_type == "refund_reversed":
        return entered_state(event) is not None
    return event.event_type in OPENINGS


def in_order(together: Iterable[Event], *, was_running: bool) -> list[Event]:
    """The events of one instant as the state before them allows: whether it entitled decides.

    What was running ends and is opened again, what was not is opened and ends, and so on by turns. The rest
    belongs to what was running, else to what is opened first.
    """
    events = sorted(together, key=lambda e: (RANK[e.event_type], e.provider_event_id, e.provider))
    openings = [event for event in events if is_opening(event)]
    ends = [event for event in events if event.event_type in ENDS]
    changed_to = {event.plan_id for event in events if event.event_type == "plan_changed"}

    def place(event: Event) -> tuple[float, str, str]:
        rank = float(RANK[event.event_type])
        if event.event_type == "renewed" and event.plan_id in changed_to:
            # It pays for the plan that is changed to.
            rank = RANK["plan_changed"] + 0.5
        if event.event_type in STOPS and not (was_running or openings):
            # What is not running goes on before it can stop.
            rank = RANK[STOPS[event.event_type]] + 0.5
        return rank, event.provider_event_id, event.provider

    if not openings or not ends:
        return sorted(events, key=place)
    turns = _by_turns(ends, openings) if was_running else _by_turns(openings, ends)
    rest = [event for event in events if event not in turns]
    if was_running:
        return sorted(rest, key=place) + turns
    return sorted([turns[0], *rest], key=place) + turns[1:]


def told_in_order(together: Iterable[Event]) -> list[Event]:
    """The same events as they change the terms, which follow each other as in a running life.

    Auto-renewal that is switched to and fro is as it was: the switch that there is less of says nothing.
    """
    ordered = in_order(together, was_running=True)
    times = Counter(event.event_type for event in ordered)
    return [
        replace(event, auto_renew=None)
        if event.event_type in SWITCHES and times[SWITCHES[event.event_type]] >= times[event.event_type]
        else event
        for event in ordered
    ]


def tells_no_start(together: Iterable[Event]) -> bool:
    """Whether a life that begins with these must have been running before."""
    return all(event.event_type not in STARTS for event in together)


def _by_turns(first: list[Event], second: list[Event]) -> list[Event]:
    return [event for pair in zip_longest(first, second) for event in pair if event is not None]
