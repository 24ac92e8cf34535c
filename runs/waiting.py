"""What a run waits for before it begins to land."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from segue.settings import Settings
from segue.window import RunWindow

Awaited = Callable[[Settings, RunWindow, datetime], Sequence[str]]
"""What a step still waits for at an instant, in sentences; nothing when it can begin."""


def arrivals_awaited(settings: Settings, window: RunWindow, now: datetime) -> list[str]:
    """Which arrival days of a run are not complete; nothing from ``landing_deadline_hours`` after its end on.

    What is missing then is ``land``'s to refuse, and what comes later a restatement.

    Raises:
        ObjectStoreError: the landing cannot be listed.
        WarehouseError: the run ledger cannot be read.
    """
    from loaders.landing.arrivals import Arrivals
    from loaders.landing.completeness import end_of, incomplete
    from loaders.landing.days import days_to_land

    if now >= end_of(window.end_date) + timedelta(hours=settings.landing_deadline_hours):
        return []
    arrivals = Arrivals.read(settings)
    earliest = arrivals.first_day or window.start_date
    first, last = max(window.start_date, earliest), max(window.end_date, earliest)
    return incomplete(settings, arrivals, days_to_land(arrivals, first, last), now)
