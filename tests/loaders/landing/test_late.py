"""Files that come or change after their day has landed: a later run lands them, or says why it does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from loaders.landing.arrivals import Arrivals
from loaders.landing.days import Landed, land_through
from loaders.landing.errors import LandingError
from loaders.landing.land import land_days
from loaders.warehouse.client import warehouse_of
from segue.settings import Settings
from tests.loaders.landing.rates import declare, declared, deliver, name_of
from tests.loaders.landing.test_land import event, write

FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (1, 2, 3))


@pytest.fixture
def settings(world: Callable[..., Settings]) -> Settings:
    """Two days have landed, and the third is there."""
    fresh = world("late")
    for day in (FIRST, SECOND, THIRD):
        deliver(fresh, day, "EUR")
    land(fresh, FIRST, SECOND)
    return fresh


def land(settings: Settings, start: date, end: date) -> Landed:
    return land_through(settings, Arrivals.read(settings), start, end)


def late(settings: Settings) -> list[tuple[str, date, int]]:
    """What the third day's run lands again."""
    return [(each.table, each.day, each.rows_in) for each in land(settings, THIRD, THIRD).late]


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in warehouse_of(settings).run(sql)]


def currencies(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(settings, "select arrival_date, currency from raw.fx_rates order by 1, 2")


CORRECTIONS = "select run_date, table_name, rows_removed, rows_added from ops.corrections order by 1, 2"


def test_a_file_that_came_later_restates_its_day_once(settings: Settings) -> None:
    assert late(settings) == []
    deliver(settings, FIRST, "SEK", file="p1.ndjson")

    assert late(settings) == [("fx_rates", FIRST, 2)]
    assert currencies(settings) == [(FIRST, "EUR"), (FIRST, "SEK"), (SECOND, "EUR"), (THIRD, "EUR")]
    assert rows(settings, CORRECTIONS) == [(FIRST, "fx_rates", 0, 1)]
    assert late(settings) == []


def test_what_the_platform_has_made_itself_is_never_late(settings: Settings) -> None:
    """A try that died may have left it; it lands with the run that makes it."""
    deliver(settings, FIRST, "SEK", file="segue_x.ndjson")

    assert late(settings.model_copy(update={"late_files": "refuse"})) == []


def test_a_table_that_had_nothing_on_a_landed_day_may_come_later(settings: Settings) -> None:
    write(settings, "subscription_events", [event(1, SECOND)], SECOND)
    write(settings, "subscription_events", [], THIRD)

    assert late(settings) == [("subscription_events", SECOND, 1)]
    assert rows(settings, CORRECTIONS) == [(SECOND, "subscription_events", 0, 1)]


def test_a_day_that_is_delivered_anew_replaces_what_it_was(settings: Settings) -> None:
    deliver(settings, FIRST, "EUR")
    file_of(settings, SECOND).unlink()
    deliver(settings, SECOND, "GBP", file="part-7.ndjson")

    assert late(settings) == [("fx_rates", FIRST, 1), ("fx_rates", SECOND, 1)]
    assert currencies(settings) == [(FIRST, "EUR"), (SECOND, "GBP"), (THIRD, "EUR")]
    # The first day says the same again.
    assert rows(settings, CORRECTIONS) == [(SECOND, "fx_rates", 1, 1)]


def file_of(settings: Settings, day: date, file: str = "p0.ndjson") -> Path:
    return Path(urlparse(settings.landing_files_root).path) / name_of(day, file)


def test_half_a_day_is_refused_until_somebody_says_what_it_is(settings: Settings) -> None:
    deliver(settings, SECOND, "SEK", file="p1.ndjson")
    land_days(settings, [SECOND])
    file_of(settings, SECOND).unlink()
    deliver(settings, SECOND, "NOK", file="p2.ndjson")

    with pytest.raises(
        LandingError, match=r"^fx_rates/2026-03-02: files have come .* p0.ndjson is no longer there"
    ):
        land(settings, THIRD, THIRD)
    assert (SECOND, "NOK") not in currencies(settings)

    declare(
        settings, SECOND, declared(SECOND, "SEK", file="p1.ndjson"), declared(SECOND, "NOK", file="p2.ndjson")
    )
    assert late(settings) == [("fx_rates", SECOND, 2)]


def test_a_late_day_that_is_not_complete_waits_for_a_later_run(settings: Settings) -> None:
    deliver(settings, FIRST, "SEK", file="p1.ndjson")
    declare(settings, FIRST, declared(FIRST, "EUR"))

    landed = land(settings, THIRD, THIRD)

    assert (landed.late, list(landed.waiting)) == (
        [],
        ["fx_rates/2026-03-01/p1.ndjson: has arrived and is not in the manifest"],
    )
    declare(settings, FIRST, declared(FIRST, "EUR"), declared(FIRST, "SEK", file="p1.ndjson"))
    assert late(settings) == [("fx_rates", FIRST, 2)]


def test_where_nothing_may_be_late_the_run_stops_and_names_it(settings: Settings) -> None:
    deliver(settings, FIRST, "SEK", file="p1.ndjson")
    strict = settings.model_copy(update={"late_files": "refuse"})

    with pytest.raises(
        LandingError, match=r"^fx_rates/2026-03-01/p1.ndjson: came .* SEGUE_LATE_FILES forbids"
    ):
        land(strict, THIRD, THIRD)
    assert currencies(settings) == [(FIRST, "EUR"), (SECOND, "EUR")]

    land_days(strict, [FIRST])
    assert late(strict) == []


def test_what_is_too_old_to_restate_was_cleaned_up_or_is_not_known_is_left(settings: Settings) -> None:
    file_of(settings, SECOND).unlink()
    deliver(settings, FIRST, "SEK", file="p1.ndjson")
    assert late(settings.model_copy(update={"restatement_days": 1})) == []

    warehouse_of(settings).run("update ops.run_ledger set file_generations = null where true")
    assert late(settings) == []
    assert currencies(settings) == [(FIRST, "EUR"), (SECOND, "EUR"), (THIRD, "EUR")]
