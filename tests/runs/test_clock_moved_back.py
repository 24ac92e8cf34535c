"""A clock that was ahead is set back: what is recorded then is later than what was recorded before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from pydantic import SecretStr

from loaders.landing.arrivals import Arrivals
from loaders.landing.days import land_through
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.erasures import ErasedSubjects, record_erased, subject_hash
from loaders.warehouse.ledger_time import ledger_time
from loaders.warehouse.ops import append_rows
from runs.published import PublishedMart
from runs.stale import published_days
from segue.settings import Settings
from tests.loaders.landing.rates import deliver

DAY = date(2026, 3, 1)
MART = PublishedMart("fct_daily", "day", 0, "Rows.")
AHEAD = timedelta(hours=2)


@pytest.fixture
def settings(world: Callable[..., Settings]) -> Settings:
    """A day that has landed, and was published by a clock two hours ahead."""
    fresh = world("clock")
    deliver(fresh, DAY, "EUR")
    land(fresh)
    publish(fresh, ledger_time(warehouse_of(fresh)) + AHEAD)
    return fresh


def land(settings: Settings) -> None:
    land_through(settings, Arrivals.read(settings), DAY, DAY)


def publish(settings: Settings, at: datetime) -> None:
    """What a run records that began to read raw, and published, at that moment."""
    days = {"run_date": DAY, "partition_date": DAY, "as_of_date": DAY, "mart": MART.name, "is_final": True}
    append_rows(warehouse_of(settings), "publications", [days | {"raw_read_at": at, "published_at": at}])


def stale(settings: Settings) -> tuple[date, ...]:
    return published_days(warehouse_of(settings), [MART], DAY).stale


def test_a_correction_restates_what_was_published_before_the_clock_was_set_back(settings: Settings) -> None:
    deliver(settings, DAY, "SEK")
    land(settings)

    assert stale(settings) == (DAY,)


def test_what_is_published_then_has_read_the_correction(settings: Settings) -> None:
    deliver(settings, DAY, "SEK")
    land(settings)
    publish(settings, ledger_time(warehouse_of(settings)))

    assert stale(settings) == ()


def test_files_change_in_the_order_in_which_they_land(settings: Settings) -> None:
    def changed_at() -> datetime:
        [row] = warehouse_of(settings).run("select max(changed_at) as at from ops.run_ledger")
        moment: datetime = row.at
        return moment

    before = changed_at()
    deliver(settings, DAY, "SEK")
    land(settings)
    corrected = changed_at()
    deliver(settings, DAY, "GBP")
    land(settings)

    assert before + AHEAD < corrected < changed_at()


@pytest.mark.parametrize(
    ("apart", "is_left_out"), [(timedelta(minutes=4), True), (timedelta(minutes=6), False)]
)
def test_who_was_erased_is_left_out_by_who_began_to_read_before_by_a_clock_that_is_five_minutes_ahead(
    world: Callable[..., Settings], apart: timedelta, is_left_out: bool
) -> None:
    warehouse = warehouse_of(world("erased", erasure_salt=SecretStr("salt")))
    began = ledger_time(warehouse)
    record_erased(warehouse, "e1", [("account", subject_hash(warehouse.settings, "a1"))], "proved", {})

    assert bool(ErasedSubjects.read(warehouse, began + apart)) is is_left_out
