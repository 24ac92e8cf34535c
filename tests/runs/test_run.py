"""Which days a run lands, builds and knows."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError
from loaders.landing.schema import arrow_schema
from runs.handover import NothingLeftError
from runs.steps import asked, asked_by_trigger, given
from runs.steps import land as land_step
from runs.waiting import arrivals_awaited
from segue.settings import Settings
from segue.window import ImpossibleDaysError, RunWindow

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
LONG_BEFORE = date(2024, 1, 1)


@pytest.fixture
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    return dbt_world("run")


def land(settings: Settings, start: date, end: date) -> RunWindow:
    return land_step(settings, asked(settings, start, end)).window


def landed(settings: Settings, start: date, end: date) -> tuple[date, date, date]:
    """First and last day that the run builds, and the last arrival that it knows."""
    window = land(settings, start, end)
    return window.start_date, window.end_date, window.as_of_date


def deliver(settings: Settings, *days: date) -> None:
    """An empty file of every table on each day."""
    for contract in CONTRACTS.values():
        schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
        for day in days:
            folder = Path(urlparse(settings.landing_files_root).path) / contract.table / str(day)
            folder.mkdir(parents=True)
            pq.write_table(schema.empty_table(), folder / "p0.parquet")


def test_a_range_is_built_as_asked(settings: Settings) -> None:
    deliver(settings, FIRST, SECOND, THIRD)

    assert landed(settings, FIRST, SECOND) == (FIRST, SECOND, SECOND)


def test_days_before_the_first_arrival_are_built_from_it(settings: Settings) -> None:
    deliver(settings, FIRST, SECOND)

    assert landed(settings, LONG_BEFORE, FIRST) == (LONG_BEFORE, FIRST, FIRST)


def test_a_range_that_ends_before_the_first_arrival_knows_it(settings: Settings) -> None:
    deliver(settings, FIRST)
    year_end = date(2024, 12, 31)

    assert landed(settings, LONG_BEFORE, year_end) == (LONG_BEFORE, year_end, FIRST)


def test_after_the_first_arrival_no_day_may_be_missing(settings: Settings) -> None:
    deliver(settings, FIRST, THIRD)

    with pytest.raises(LandingError, match="2026-03-02: no file has arrived"):
        land(settings, LONG_BEFORE, THIRD)


def test_without_any_arrival_the_first_day_asked_is_missing(settings: Settings) -> None:
    with pytest.raises(LandingError, match="2024-01-01: no file has arrived"):
        land(settings, LONG_BEFORE, FIRST)


def test_a_first_run_builds_all_of_the_history(settings: Settings) -> None:
    deliver(settings, FIRST, SECOND)

    first_days = land(settings, FIRST, SECOND).history.first_days
    assert (first_days["int_subscription_events"], first_days["int_subscription_versions"]) == (FIRST, FIRST)


def test_a_window_survives_the_way_through_xcom(settings: Settings) -> None:
    deliver(settings, FIRST)
    window = land(settings, FIRST, FIRST)

    assert RunWindow.model_validate(json.loads(json.dumps(window.model_dump(mode="json")))) == window


def test_days_before_the_history_are_refused_before_anything_starts(settings: Settings) -> None:
    with pytest.raises(
        ImpossibleDaysError, match=r"2017-09-01 is before SEGUE_HISTORY_START_DATE, 2020-01-01"
    ):
        asked(settings, date(2017, 9, 1), date(2020, 2, 29))


def test_files_before_the_history_are_refused_until_somebody_has_decided_on_them(
    settings: Settings,
) -> None:
    deliver(settings, date(2019, 12, 30), date(2019, 12, 31), FIRST)

    with pytest.raises(ImpossibleDaysError, match=r"2 days from 2019-12-30 on.* SEGUE_HISTORY_START_DATE"):
        land(settings, FIRST, FIRST)

    decided = settings.model_copy(update={"history_start_date": date(2020, 1, 1)})
    outcome = land_step(decided, asked(decided, FIRST, FIRST))
    assert [each for each in outcome.warnings if "files of 2 days from 2019-12-30" in each] != []


def test_what_nobody_reads_below_the_landing_root_is_named(settings: Settings) -> None:
    deliver(settings, FIRST)
    stray = Path(urlparse(settings.landing_files_root).path) / "payment" / "2026-03-01"
    stray.mkdir(parents=True)
    (stray / "p0.parquet").touch()

    outcome = land_step(settings, asked(settings, FIRST, FIRST))

    assert [each[:20] for each in outcome.warnings] == ["nobody reads payment"]
    assert outcome.summary == "arrival days to 2026-03-01, known as of 2026-03-01; 0 rows"


def test_a_run_waits_for_its_arrivals_until_the_deadline(settings: Settings) -> None:
    deliver(settings, FIRST, THIRD)
    for path in Path(urlparse(settings.landing_files_root).path).rglob("*.parquet"):
        os.utime(path, (0, 0))
    waiting = settings.model_copy(update={"landing_deadline_hours": 6, "landing_quiet_minutes": 10})

    def awaited(start: date, end: date, now: datetime) -> list[str]:
        return arrivals_awaited(waiting, asked(waiting, start, end), now)

    two_days_later = datetime(2026, 3, 4, 0, 10, tzinfo=UTC)
    assert awaited(THIRD, THIRD, two_days_later) == ["2026-03-02: no file has arrived"]
    assert awaited(FIRST, THIRD, two_days_later) == ["2026-03-02: no file has arrived"]
    assert awaited(THIRD, THIRD, two_days_later + timedelta(hours=6)) == []
    ten_past = datetime(2026, 3, 2, 0, 10, tzinfo=UTC)
    assert len(awaited(FIRST, FIRST, ten_past - timedelta(seconds=1))) == len(CONTRACTS)
    assert awaited(FIRST, FIRST, ten_past) == []


def test_what_came_after_its_day_had_landed_is_told(settings: Settings) -> None:
    deliver(settings, FIRST, SECOND)
    land(settings, FIRST, FIRST)
    rates = Path(urlparse(settings.landing_files_root).path) / "fx_rates" / str(FIRST)
    shutil.copy(rates / "p0.parquet", rates / "p1.parquet")

    outcome = land_step(settings, asked(settings, SECOND, SECOND))

    assert outcome.summary == (
        "arrival days to 2026-03-02, known as of 2026-03-02; 0 rows; landed again, because files came or "
        "changed: fx_rates/2026-03-01"
    )


MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_triggered_run_is_of_its_interval_or_of_both_parameters(settings: Settings) -> None:
    def days(start: str | None, end: str | None, interval: datetime | None) -> list[date]:
        return asked_by_trigger(settings, start, end, interval).days

    assert days(None, None, MIDNIGHT) == [SECOND]
    assert days("2026-03-02", "2026-03-03", MIDNIGHT) == [SECOND, THIRD]
    for one_end, name in ((("2026-03-01", None), "start_date"), ((None, "2026-03-03"), "end_date")):
        for interval in (MIDNIGHT, None):
            with pytest.raises(ImpossibleDaysError, match=f"{name} alone names no days, and no other day is"):
                days(*one_end, interval)


def test_a_run_by_hand_without_a_logical_date_is_told_what_to_give(settings: Settings) -> None:
    with pytest.raises(ImpossibleDaysError) as refused:
        asked_by_trigger(settings, None, None, None)
    assert str(refused.value) == (
        "a run by hand without a logical date has no day: give start_date and end_date, or a logical date"
    )
    whole = asked_by_trigger(settings, "2026-03-01", "2026-03-02", None)
    assert whole.days == [FIRST, SECOND]


def test_days_in_the_wrong_order_are_refused_for_good(settings: Settings) -> None:
    with pytest.raises(ImpossibleDaysError, match="ends before it starts") as refused:
        asked(settings, SECOND, FIRST)
    assert refused.value.is_final


@pytest.mark.parametrize(
    ("step", "before"),
    [
        ("build", "land"),
        ("score", "build"),
        ("validate", "score"),
        ("publish", "validate"),
        ("drop_audit", "publish"),
    ],
)
def test_after_a_step_that_is_marked_successful_but_did_not_run_nothing_goes_on(
    step: str, before: str
) -> None:
    def days() -> RunWindow:
        raise AssertionError("only the first step asks for the days")

    with pytest.raises(NothingLeftError, match=f"`{before}` has left nothing for `{step}`") as failed:
        given(step, None, days)

    assert failed.value.is_final
