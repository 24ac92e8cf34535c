"""Whether a feed still delivers as often as it has: each has a rhythm of its own, learned from its days."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

LOOK_BACK: Final = timedelta(days=550)
"""A feed of quarters is known by four deliveries, and missed for half a year; rarer ones are not judged."""
FEWEST_DELIVERIES: Final = 4
"""Of fewer nobody knows the rhythm."""
_LATE_FACTOR: Final = 1.5
"""So many times the longest wait of its last deliveries, and a day at least, before anybody is told."""
_RECENT: Final = 30
"""Deliveries whose waits are its rhythm: a feed that is daily now may have been monthly."""


@dataclass(frozen=True)
class StaleFeed:
    """A feed that has brought nothing for longer than it ever has lately."""

    feed: str
    last_day: date
    age_days: int
    longest_days: int

    def describe(self) -> str:
        """One sentence."""
        return (
            f"{self.feed} has brought no row since {self.last_day}, {self.age_days} days before; lately it "
            f"never took longer than {self.longest_days} day(s)"
        )


def arrived_since(delivered: Mapping[str, Collection[date]], feed: str, day: date) -> bool:
    """Whether a feed has brought rows on ``day`` or later: what was said of it up to then is over."""
    return any(each >= day for each in delivered.get(feed, ()))


def stale_feeds(delivered: Mapping[str, Collection[date]], day: date) -> list[StaleFeed]:
    """The feeds that are late on ``day``; ``delivered``: arrival days with rows up to it, by feed.

    A feed is late once its age is more than one and a half times its longest wait, rounded up to whole days.
    """
    found = []
    for feed, days in sorted(delivered.items()):
        known = sorted(each for each in days if day - LOOK_BACK <= each <= day)
        if len(known) < FEWEST_DELIVERIES:
            continue
        waits = np.diff(np.array(known[-_RECENT - 1 :], dtype="datetime64[D]")).astype(int)
        longest, age = int(waits.max()), (day - known[-1]).days
        if age > int(np.ceil(longest * _LATE_FACTOR)):
            found.append(StaleFeed(feed, known[-1], age, longest))
    return found
