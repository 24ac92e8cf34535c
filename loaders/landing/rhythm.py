"""How often something is paid, as exports write it: ``month``, or an ISO 8601 duration (``P3M``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast, get_args

from segue.vocabulary import Interval

_UNITS: dict[str, Interval] = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_DURATION = re.compile(r"P(?:(\d{1,4})([YMWD])|(\d{1,3})Y(\d{1,4})M)")


@dataclass(frozen=True)
class Rhythm:
    """Every ``count`` intervals."""

    interval: Interval
    count: int = 1


def read_rhythm(text: str) -> Rhythm:
    """The rhythm of an interval's name or of a duration in one unit; years and months are months.

    Raises:
        ValueError: it is neither.
    """
    if text in get_args(Interval):
        return Rhythm(cast(Interval, text))
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(
            f"is none of {', '.join(get_args(Interval))}, and no ISO 8601 duration in whole years "
            "and months, weeks or days (P3M)"
        )
    count, unit, years, months = found.groups()
    if unit:
        return Rhythm(_UNITS[unit], int(count))
    return Rhythm("month", 12 * int(years) + int(months))
