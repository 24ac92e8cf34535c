"""One module per family of marts; ``all_suites`` lists what the gate runs, in this order."""

from __future__ import annotations

from expectations.suites.conversions import conversion_suites
from expectations.suites.dimensions import dimension_suites
from expectations.suites.movements import movement_suites
from expectations.suites.outcomes import outcome_suites
from expectations.suites.segments import segment_suites
from expectations.suites.subscribers import subscriber_suites
from expectations.suites.suite import MartSuite
from segue.window import RunWindow

__all__ = ["MartSuite", "all_suites"]


def all_suites(window: RunWindow) -> list[MartSuite]:
    """The suites of every validated model, for the partitions of ``window``."""
    return [
        *subscriber_suites(window),
        *movement_suites(window),
        *outcome_suites(),
        *dimension_suites(),
        *conversion_suites(),
        *segment_suites(window),
    ]
