"""Days and times of day as texts, for Arrow's regular expressions: what matches is in the calendar."""

from __future__ import annotations

from typing import Final

CALENDAR_DAY: Final = (
    r"(?:[12][0-9]{3}-(?:"
    r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|"
    r"(?:0[13-9]|1[0-2])-(?:29|30)|"
    r"(?:0[13578]|1[02])-31)|"
    r"(?:[12][0-9](?:0[48]|[2468][048]|[13579][26])|(?:12|16|20|24|28)00)-02-29)"
)
"""YYYY-MM-DD from 1000 to 2999 in the Gregorian calendar."""
TIME_OF_DAY: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
"""hh:mm:ss, without leap seconds."""
