"""Times in a billing export: what is written there, and the UTC instant that it means.

An offset in the text is honoured; without one the text is local time of the map's zone. A date alone is the
first instant of that local day, so that a feed of days means the same as one of minutes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from loaders.landing.period_map import PeriodMap

TOLERATED_GAP = timedelta(seconds=1)
"""Between the last second of a period and the first of the next nobody was without service."""

_HOURS = re.compile(r"%[HIcX]")
_SECONDS = re.compile(r"%[ScX]")


@dataclass(frozen=True)
class Moment:
    """A moment as it is written, on its local day, and the UTC instant that it means."""

    at: datetime
    written_day: date


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime.combine(day, time(), UTC)


def moment_of(period_map: PeriodMap, text: str) -> Moment:
    """A moment at which something begins or happens.

    Of a local time that comes twice, when clocks are put back, the first counts.

    Raises:
        ValueError: the text does not fit the map's format, names no day of the calendar, or a local time that
            does not exist because clocks were put forward; says which.
    """
    written = _written(period_map, text)
    return Moment(written.astimezone(UTC), written.date())


def end_of_service(period_map: PeriodMap, text: str) -> Moment:
    """The first instant without service, of the end that a period's row gives.

    The end of the day that is written where that is the last day with service, or its last second.

    Raises:
        ValueError: as ``moment_of``.
    """
    written = _written(period_map, text)
    if period_map.end_is == "last_day" or _is_last_of_its_day(period_map, written):
        following = datetime.combine(written.date() + timedelta(days=1), time(), written.tzinfo)
        return Moment(following.astimezone(UTC), written.date())
    return Moment(written.astimezone(UTC), written.date())


def _written(period_map: PeriodMap, text: str) -> datetime:
    """The local time that is written, with its offset or zone."""
    try:
        told = datetime.strptime(text, period_map.date_format)  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise ValueError(f"is no date like {period_map.date_format}") from None
    if told.tzinfo is not None:
        return told
    local = told.replace(tzinfo=ZoneInfo(period_map.time_zone))
    if _HOURS.search(period_map.date_format) and _back_and_forth(local) != told:
        raise ValueError(f"does not exist in {period_map.time_zone}, where clocks were put forward then")
    return local


def _back_and_forth(local: datetime) -> datetime:
    """A local time by way of UTC: another where it does not exist."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None)


def _is_last_of_its_day(period_map: PeriodMap, written: datetime) -> bool:
    if not _HOURS.search(period_map.date_format):
        return False
    last = time(23, 59, 59) if _SECONDS.search(period_map.date_format) else time(23, 59)
    return written.time() >= last
