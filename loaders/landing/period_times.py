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
        ValueError: the text does not fit the map's format, names no day of the calendar, a local time that
            does not exist because clocks were put forward, or one that is in no year from 1 to 9999 in UTC;
            says which.
    """
    return _moment(period_map, _told(period_map, text))


def end_of_service(period_map: PeriodMap, text: str) -> Moment | None:
    """The first instant without service, of the end that a period's row gives; None while it is open.

    The end of the day that is written where that is the last day with service, or its last second. The last
    day of the calendar is what many systems write where there is no end.

    Raises:
        ValueError: as ``moment_of``.
    """
    told = _told(period_map, text)
    if told.date() == date.max:
        return None
    moment = _moment(period_map, told)
    if period_map.end_is == "last_day" or _is_last_of_its_day(period_map, told):
        zone = _located(period_map, told).tzinfo
        following = datetime.combine(told.date() + timedelta(days=1), time(), zone)
        return Moment(following.astimezone(UTC), told.date())
    return moment


def _moment(period_map: PeriodMap, told: datetime) -> Moment:
    try:
        return Moment(_located(period_map, told).astimezone(UTC), told.date())
    except OverflowError:
        raise ValueError("is in no year from 1 to 9999 in UTC") from None


def _told(period_map: PeriodMap, text: str) -> datetime:
    """The time that is written, with its offset if it has one."""
    try:
        return datetime.strptime(text, period_map.date_format)  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise ValueError(f"is no date like {period_map.date_format}") from None


def _located(period_map: PeriodMap, told: datetime) -> datetime:
    """The time that is written, with its offset or zone."""
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
