"""A clock that was ahead is set back: what is recorded then is later than what was recorded before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr

from loaders.landing.arrivals import Arrivals
from loaders.landing.days import land_through
from loaders.landing.scratch import Scratch
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.erasures import ErasedSubjects, record_erased, subject_hash
from loaders.warehouse.ledger_time import ledger_time, reading_time
from loaders.warehouse.ops import append_rows
from runs.published import PublishedMart
from runs.stale import published_days
from runs.verdict import JudgedTable, UnjudgedError, record_verdict, refuse_unjudged
from segue.settings import Settings
from segue.window import RunWindow
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
    publish(fresh, reading_time(warehouse_of(fresh)), ledger_time(warehouse_of(fresh)) + AHEAD)
    return fresh


def land(settings: Settings) -> None:
    land_through(settings, Arrivals.read(settings), DAY, DAY)


def publish(settings: Settings, read_at: datetime, published_at: datetime | None = None) -> None:
    """What a run records, now if nothing is said of it, that has read raw as of a moment."""
    at = published_at or ledger_time(warehouse_of(settings))
    days = {"run_date": DAY, "partition_date": DAY, "as_of_date": DAY, "mart": MART.name, "is_final": True}
    append_rows(warehouse_of(settings), "publications", [days | {"raw_read_at": read_at, "published_at": at}])


def stale(settings: Settings) -> tuple[date, ...]:
    return published_days(warehouse_of(settings), [MART], DAY).stale


def changed_at(settings: Settings) -> datetime:
    [row] = warehouse_of(settings).run("select max(changed_at) as at from ops.run_ledger")
    moment: datetime = row.at
    return moment


def test_a_correction_restates_what_was_published_before_the_clock_was_set_back(settings: Settings) -> None:
    deliver(settings, DAY, "SEK")
    land(settings)

    assert stale(settings) == (DAY,)


def test_what_is_published_then_has_read_the_correction(settings: Settings) -> None:
    deliver(settings, DAY, "SEK")
    land(settings)
    publish(settings, reading_time(warehouse_of(settings)))

    assert stale(settings) == ()


def test_a_correction_that_lands_while_a_run_builds_is_not_in_what_it_publishes(settings: Settings) -> None:
    read_at = reading_time(warehouse_of(settings))
    deliver(settings, DAY, "SEK")
    land(settings)
    publish(settings, read_at)

    assert stale(settings) == (DAY,)


def test_a_reading_is_dated_by_the_last_landing_whatever_has_been_recorded_since(settings: Settings) -> None:
    """A clock that is set back after it cannot bring a correction to before it."""
    assert reading_time(warehouse_of(settings)) == changed_at(settings)

    deliver(settings, DAY, "SEK")
    land(settings)

    assert reading_time(warehouse_of(settings)) == changed_at(settings)


def test_a_reading_before_anything_has_landed_is_before_all_that_lands(
    world: Callable[..., Settings],
) -> None:
    assert reading_time(warehouse_of(world("nothing"))) == datetime(1970, 1, 1, tzinfo=UTC)


def test_files_change_in_the_order_in_which_they_land(settings: Settings) -> None:
    before = changed_at(settings)
    deliver(settings, DAY, "SEK")
    land(settings)
    corrected = changed_at(settings)
    deliver(settings, DAY, "GBP")
    land(settings)

    assert before + AHEAD < corrected < changed_at(settings)


def test_a_landing_is_dated_when_it_commits_and_not_while_its_rows_are_being_loaded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever begins to read meanwhile, and says so, reads what was there before."""
    loaded, meanwhile = Scratch.wait, list[datetime]()

    def loaded_at_last(scratch: Scratch) -> None:
        loaded(scratch)
        publish(settings, ledger_time(warehouse_of(settings)))
        meanwhile.append(ledger_time(warehouse_of(settings)))

    monkeypatch.setattr(Scratch, "wait", loaded_at_last)
    deliver(settings, DAY, "SEK")
    land(settings)

    [row] = warehouse_of(settings).run(
        "select changed_at, finished_at, (select max(corrected_at) from ops.corrections) as corrected_at "
        "from ops.run_ledger where table_name = 'fx_rates'"
    )
    assert meanwhile == [row.changed_at]
    assert {row.changed_at, row.finished_at, row.corrected_at} == {row.changed_at}
    assert stale(settings) == (DAY,)


def test_files_that_have_not_changed_keep_their_moment_and_land_at_another(settings: Settings) -> None:
    def moments() -> tuple[datetime, datetime]:
        [row] = warehouse_of(settings).run(
            "select changed_at, finished_at from ops.run_ledger where table_name = 'fx_rates'"
        )
        return row.changed_at, row.finished_at

    first = moments()
    land(settings)
    again = moments()

    assert first[0] == first[1] == again[0]
    assert again[1] > first[1] + AHEAD


def test_the_last_verdict_counts_when_the_clock_was_set_back_since_the_one_before(
    world: Callable[..., Settings],
) -> None:
    settings = world("judged")
    warehouse, window = warehouse_of(settings), RunWindow.whole(settings, DAY, DAY)
    judged = [JudgedTable(MART.name, 1, 1)]
    record_verdict(warehouse, window, judged, failures=1)
    warehouse.run("update ops.verdicts set judged_at = timestamp_add(judged_at, interval 2 hour) where true")
    with pytest.raises(UnjudgedError, match="the gate refused it"):
        refuse_unjudged(warehouse, window)

    record_verdict(warehouse, window, judged, failures=0)

    refuse_unjudged(warehouse, window)


def test_erasures_are_recorded_in_their_order_when_the_clock_was_set_back_in_between(
    world: Callable[..., Settings],
) -> None:
    warehouse = warehouse_of(world("erased"))
    record_erased(warehouse, "first", [("account", "0" * 64)], "proved", {})
    warehouse.run(
        "update ops.erasures set recorded_at = timestamp_add(recorded_at, interval 2 hour) where true"
    )

    record_erased(warehouse, "second", [("account", "1" * 64)], "proved", {})

    rows = warehouse.run("select erasure_id from ops.erasures order by recorded_at")
    assert [row.erasure_id for row in rows] == ["first", "second"]


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
