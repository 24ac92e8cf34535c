"""When an arrival day is complete; nothing here needs a warehouse."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from loaders.landing.arrivals import Arrivals
from loaders.landing.completeness import incomplete
from segue.settings import Settings
from tests.loaders.landing.rates import declare, declared, deliver, name_of

DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
"""The end of DAY."""
ARRIVALS = Arrivals(date(2020, 1, 1), {}, {"fx_rates": frozenset([DAY])})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, landing_files_uri=tmp_path.as_uri(), landing_quiet_minutes=10)


def came(
    settings: Settings, tmp_path: Path, minutes: float, file: str = "p0.ndjson", day: date = DAY
) -> None:
    """A file that came so long after the day's end."""
    deliver(settings, day, "EUR", file=file)
    at = (MIDNIGHT + timedelta(minutes=minutes)).timestamp()
    os.utime(tmp_path / name_of(day, file), (at, at))


def after(settings: Settings, minutes: float) -> list[str]:
    """What the day waits for so long after its end."""
    return incomplete(settings, ARRIVALS, [DAY], MIDNIGHT + timedelta(minutes=minutes))


def test_a_day_is_complete_once_nothing_has_come_for_a_while(settings: Settings, tmp_path: Path) -> None:
    came(settings, tmp_path, 3)
    came(settings, tmp_path, 5, "p1.ndjson")

    assert after(settings, 14.9) == [
        "fx_rates/2026-03-01: its last file came at 2026-03-02 00:05:00; without another it is complete at "
        "2026-03-02 00:15:00 UTC"
    ]
    assert after(settings, 15) == []


def test_a_day_is_not_complete_before_it_is_over(settings: Settings, tmp_path: Path) -> None:
    came(settings, tmp_path, -600)

    assert after(settings, -1) != []
    assert after(settings, 9) != []
    assert after(settings, 10) == []


def test_a_manifest_completes_a_day_at_once_and_only_with_its_files(settings: Settings) -> None:
    declare(settings, DAY, declared(DAY, "EUR"))
    assert after(settings, -60) == ["fx_rates/2026-03-01/p0.ndjson: is in the manifest and has not arrived"]

    deliver(settings, DAY, "EUR")
    assert after(settings, -60) == []


def test_a_feed_that_is_due_is_waited_for(settings: Settings) -> None:
    deliver(settings, NEXT, "EUR", file="p0.ndjson")
    landing = incomplete(settings, ARRIVALS, [DAY, NEXT], MIDNIGHT + timedelta(days=400))
    assert landing == ["2026-03-01: no file has arrived"]

    deliver(settings, DAY, "EUR")
    of_two = replace(ARRIVALS, named_feeds=frozenset(["fx_rates", "payments"]))
    assert incomplete(settings, of_two, [DAY], MIDNIGHT + timedelta(days=400)) == [
        "payments/2026-03-01: no file has arrived"
    ]


def test_a_feed_that_declares_its_days_is_never_complete_by_silence(settings: Settings) -> None:
    deliver(settings, DAY, "EUR")
    strict = settings.model_copy(update={"manifest_feeds": frozenset(["fx_rates"])})

    assert after(strict, 1_000_000) == ["fx_rates/2026-03-01: no _manifest.json has arrived"]
