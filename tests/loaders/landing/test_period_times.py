"""Times of a billing export: what is written, and the UTC instants of service that it means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loaders.landing.errors import LandingError
from loaders.landing.period_map import PeriodMap, read_period_map
from loaders.landing.period_times import end_of_service, moment_of

REST = """
periods:
  {subscription_id: s, account_id: a, start: b, end: e, plan: p, plan_kind: k, interval: i, price: x,
   currency: c, is_trial: t}
accounts: {market: {constant: SE}, locale: {constant: sv}}
"""


def times(tmp_path: Path, keys: str) -> PeriodMap:
    (tmp_path / "times.map.yml").write_text(keys + REST)
    return read_period_map(tmp_path / "times.map.yml")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


OFFSETS = 'date_format: "%Y-%m-%dT%H:%M:%S%z"'
STOCKHOLM_DAYS = "time_zone: Europe/Stockholm"
STOCKHOLM = 'time_zone: Europe/Stockholm\ndate_format: "%Y-%m-%d %H:%M:%S"'
MINUTES = 'date_format: "%d.%m.%Y %H:%M"'


@pytest.mark.parametrize(
    ("keys", "written", "instant"),
    [
        ("", "2026-02-01", "2026-02-01 00:00"),
        (OFFSETS, "2026-01-31T23:30:00-0800", "2026-02-01 07:30"),
        (OFFSETS, "2026-02-01T00:30:00+01:00", "2026-01-31 23:30"),
        (OFFSETS, "2026-02-01T00:30:00Z", "2026-02-01 00:30"),
        # An offset in the text goes before the zone of the map.
        (f"{OFFSETS}\n{STOCKHOLM_DAYS}", "2026-02-01T00:30:00Z", "2026-02-01 00:30"),
        (STOCKHOLM_DAYS, "2026-02-01", "2026-01-31 23:00"),
        (STOCKHOLM_DAYS, "2026-07-01", "2026-06-30 22:00"),
        (STOCKHOLM, "2026-07-01 01:59:59", "2026-06-30 23:59:59"),
        # Clocks are put back at three: of the two half past two the first.
        (STOCKHOLM, "2026-10-25 02:30:00", "2026-10-25 00:30"),
        # A day that begins at one o'clock, and one whose first hour comes twice.
        ("time_zone: Africa/Cairo", "2026-04-24", "2026-04-23 22:00"),
        ("time_zone: America/Havana", "2026-11-01", "2026-11-01 04:00"),
    ],
)
def test_what_is_written_is_converted_to_utc(tmp_path: Path, keys: str, written: str, instant: str) -> None:
    assert moment_of(times(tmp_path, keys), written).at == utc(instant)


@pytest.mark.parametrize(
    ("keys", "written", "instant"),
    [
        ("end_is: first_day_without", "2026-03-01", "2026-03-01 00:00"),
        ("end_is: last_day", "2026-02-28", "2026-03-01 00:00"),
        (f"end_is: last_day\n{STOCKHOLM_DAYS}", "2026-02-28", "2026-02-28 23:00"),
        # The night in which clocks are put forward has 23 hours.
        (f"end_is: last_day\n{STOCKHOLM_DAYS}", "2026-03-29", "2026-03-29 22:00"),
        (f"end_is: last_day\n{STOCKHOLM}", "2026-02-28 00:00:00", "2026-02-28 23:00"),
        (f"end_is: last_day\n{STOCKHOLM}", "2026-02-28 23:59:59", "2026-02-28 23:00"),
        (STOCKHOLM, "2026-02-28 23:59:59", "2026-02-28 23:00"),
        (STOCKHOLM, "2026-02-28 23:59:58", "2026-02-28 22:59:58"),
        (OFFSETS, "2026-02-28T23:59:59-0800", "2026-03-01 08:00"),
        (f"end_is: last_day\n{OFFSETS}", "2026-02-28T12:00:00-0800", "2026-03-01 08:00"),
        (MINUTES, "28.02.2026 23:59", "2026-03-01 00:00"),
        (MINUTES, "28.02.2026 23:58", "2026-02-28 23:58"),
    ],
)
def test_an_end_is_the_first_instant_without_service(
    tmp_path: Path, keys: str, written: str, instant: str
) -> None:
    end = end_of_service(times(tmp_path, keys), written)
    assert end
    assert end.at == utc(instant)


LOS_ANGELES = 'time_zone: America/Los_Angeles\ndate_format: "%Y-%m-%d %H:%M:%S"'


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        ("", "9999-12-31"),
        ("end_is: last_day", "9999-12-31"),
        ("end_is: last_day\ntime_zone: America/Los_Angeles", "9999-12-31"),
        (LOS_ANGELES, "9999-12-31 23:59:59"),
        (OFFSETS, "9999-12-31T23:59:59-0800"),
    ],
)
def test_the_last_day_of_the_calendar_is_no_end(tmp_path: Path, keys: str, written: str) -> None:
    assert end_of_service(times(tmp_path, keys), written) is None


def test_the_day_of_an_end_as_it_is_written_is_kept_for_the_reasons_beside_it(tmp_path: Path) -> None:
    end = end_of_service(times(tmp_path, f"end_is: last_day\n{STOCKHOLM_DAYS}"), "2026-02-28")
    assert end
    assert str(end.written_day) == "2026-02-28"


@pytest.mark.parametrize(
    ("keys", "written", "reason"),
    [
        ("", "2026-02-30", "is no date like %Y-%m-%d"),
        ("", "2025-02-29", "is no date like"),
        ("", "2026-02-01T00:00:00", "is no date like"),
        (OFFSETS, "2026-02-01T00:00:00", "is no date like"),
        (OFFSETS, "2026-02-01T24:00:00Z", "is no date like"),
        (STOCKHOLM, "2026-03-29 02:30:00", "does not exist in Europe/Stockholm"),
        (STOCKHOLM_DAYS, "0001-01-01", "is in no year from 1 to 9999 in UTC"),
        (STOCKHOLM, "0001-01-01 00:00:00", "is in no year from 1 to 9999"),
        (OFFSETS, "0001-01-01T00:00:00+0900", "is in no year from 1 to 9999"),
        (OFFSETS, "9999-12-31T20:00:00-0800", "is in no year from 1 to 9999"),
    ],
)
def test_what_is_no_moment_is_refused(tmp_path: Path, keys: str, written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        moment_of(times(tmp_path, keys), written)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("time_zone: Europe/Stokholm", "time_zone: .*'Europe/Stokholm' is no time zone"),
        ("time_zone: ../etc/passwd", "is no time zone"),
        ('date_format: "%Y-%m-%d %H:%M %Z"', "date_format: .*%Z, a zone's abbreviation"),
        ('date_format: "%m-%d"', "date_format: .*does not say a whole date"),
        ('date_format: "%d.%M.%Y"', "date_format: .*does not say a whole date"),
        ("end_is: inclusive", "end_is: .*'first_day_without' or 'last_day'"),
    ],
)
def test_a_map_whose_times_mean_nothing_is_refused(tmp_path: Path, keys: str, reason: str) -> None:
    with pytest.raises(LandingError, match=reason):
        times(tmp_path, keys)
