"""Published days that later arrivals or corrections make stale, and what a run does about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import append_rows, ensure_ops_tables
from runs.published import PublishedMart
from runs.stale import PublishedDays, published_days, widen, withdraw_finality
from segue.settings import Settings
from segue.window import DAY, RunWindow

D = [date(2026, 3, 1) + DAY * number for number in range(31)]
"""``D[4]`` is 5 March."""
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
LATER, MUCH_LATER = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
FEATURES = PublishedMart("fct_features", "day", 0, "", as_known_then=True)
MART, JOURNEYS = PublishedMart("fct_daily", "day", 0, ""), PublishedMart("fct_journey", "day", 45, "")


@pytest.fixture(scope="module")
def project(world: Callable[..., Settings]) -> Settings:
    return world("stale")


@pytest.fixture
def warehouse(project: Settings) -> Warehouse:
    """Operational tables of its own for each test."""
    settings = project.model_copy(update={"ops_dataset": f"ops_{next(_numbers)}"})
    ensure_ops_tables(warehouse_of(settings))
    return warehouse_of(settings)


_numbers = iter(range(1, 100))


def publish(
    warehouse: Warehouse,
    first: date,
    last: date,
    as_of: date,
    read_at: datetime = NOON,
    mart: str = "fct_daily",
) -> None:
    days = [first + DAY * number for number in range((last - first).days + 1)]
    common = {"run_date": last, "mart": mart, "as_of_date": as_of, "raw_read_at": read_at, "is_final": True}
    published_at = read_at + timedelta(minutes=10)
    append_rows(
        warehouse,
        "publications",
        [common | {"partition_date": day, "published_at": published_at} for day in days],
    )


def land(warehouse: Warehouse, day: date, first_event: date | None = None) -> None:
    row = {"run_date": day, "step": "land", "table_name": "payments", "first_event_date": first_event or day}
    append_rows(warehouse, "run_ledger", [row])


def correct(warehouse: Warehouse, day: date, first_event: date, at: datetime) -> None:
    row = {"run_date": day, "table_name": "payments", "first_event_date": first_event, "corrected_at": at}
    append_rows(warehouse, "corrections", [row])


def stale(warehouse: Warehouse, as_of: date) -> list[date]:
    return list(published_days(warehouse, [MART, JOURNEYS], as_of).stale)


def test_nothing_is_stale_before_anything_is_published_nor_when_nothing_has_changed(
    warehouse: Warehouse,
) -> None:
    assert published_days(warehouse, [MART], D[3]) == PublishedDays(None, ())
    for day in D[:4]:
        land(warehouse, day)
    publish(warehouse, D[0], D[3], as_of=D[3])

    assert published_days(warehouse, [MART], D[3]) == PublishedDays(D[0], ())


def test_a_correction_makes_every_later_day_stale_that_was_built_from_the_rows_before(
    warehouse: Warehouse,
) -> None:
    publish(warehouse, D[0], D[3], as_of=D[3])
    publish(warehouse, D[4], D[5], as_of=D[5], read_at=MUCH_LATER)
    correct(warehouse, D[2], first_event=D[1], at=LATER)

    # The second run had read the corrected rows already.
    assert stale(warehouse, D[5]) == [D[1], D[2], D[3]]


def test_days_that_did_not_know_the_arrival_are_not_stale_by_its_correction(warehouse: Warehouse) -> None:
    publish(warehouse, D[0], D[1], as_of=D[1])
    land(warehouse, D[2])
    publish(warehouse, D[2], D[2], as_of=D[2])
    correct(warehouse, D[2], first_event=D[2], at=LATER)

    assert stale(warehouse, D[2]) == [D[2]]


def test_a_day_is_as_old_as_the_oldest_of_its_marts_and_as_new_as_their_last_publications(
    warehouse: Warehouse,
) -> None:
    publish(warehouse, D[0], D[1], as_of=D[1])
    publish(warehouse, D[0], D[1], as_of=D[1], mart="fct_other")
    correct(warehouse, D[0], first_event=D[0], at=LATER)
    publish(warehouse, D[0], D[1], as_of=D[1], read_at=MUCH_LATER)
    marts = [MART, PublishedMart("fct_other", "day", 0, "")]

    assert published_days(warehouse, marts, D[1]).stale == (D[0], D[1])
    publish(warehouse, D[0], D[0], as_of=D[1], read_at=MUCH_LATER, mart="fct_other")
    assert published_days(warehouse, marts, D[1]).stale == (D[1],)


def test_an_arrival_that_no_run_has_taken_to_the_days_it_belongs_to_makes_them_stale(
    warehouse: Warehouse,
) -> None:
    """Nobody ran the third day: a later run landed it because it was missing."""
    for day in D[:2]:
        land(warehouse, day)
    publish(warehouse, D[0], D[1], as_of=D[1])
    land(warehouse, D[2], first_event=D[1])

    assert stale(warehouse, D[1]) == []
    assert stale(warehouse, D[2]) == [D[1]]


def test_late_arrivals_reach_no_further_back_than_the_window(warehouse: Warehouse) -> None:
    publish(warehouse, D[0], D[20], as_of=D[20])
    land(warehouse, D[21], first_event=D[0])

    assert stale(warehouse, D[21]) == D[7:21]


def test_days_before_the_history_are_nobodys_to_build(warehouse: Warehouse) -> None:
    publish(warehouse, D[0], D[3], as_of=D[3])
    correct(warehouse, D[2], first_event=D[0], at=LATER)
    since_then = warehouse_of(warehouse.settings.model_copy(update={"history_start_date": D[2]}))

    assert stale(since_then, D[3]) == [D[2], D[3]]


def test_marts_that_restate_days_of_their_own_accord_do_not_make_them_stale(warehouse: Warehouse) -> None:
    publish(warehouse, D[0], D[3], as_of=D[3], mart="fct_journey")
    correct(warehouse, D[0], first_event=D[0], at=LATER)

    assert stale(warehouse, D[3]) == []


def stale_known_then(warehouse: Warehouse, as_of: date) -> list[date]:
    return list(published_days(warehouse, [MART, FEATURES], as_of).stale_known_then)


def test_a_late_event_leaves_alone_what_a_day_is_as_it_was_known_then(warehouse: Warehouse) -> None:
    for mart in ("fct_daily", "fct_features"):
        publish(warehouse, D[0], D[3], as_of=D[3], mart=mart)
    land(warehouse, D[4], first_event=D[1])

    assert published_days(warehouse, [MART, FEATURES], D[4]) == PublishedDays(
        D[0], stale=tuple(D[1:4]), known_then=frozenset(D[0:4]), stale_known_then=()
    )


def test_a_correction_reaches_the_days_that_knew_the_rows_before(warehouse: Warehouse) -> None:
    publish(warehouse, D[0], D[4], as_of=D[4], mart="fct_features")
    correct(warehouse, D[2], first_event=D[0], at=LATER)

    assert stale_known_then(warehouse, D[4]) == D[2:5]


def test_an_arrival_that_was_missing_when_a_later_day_was_built_reaches_that_day(
    warehouse: Warehouse,
) -> None:
    publish(warehouse, D[3], D[4], as_of=D[2], mart="fct_features")
    land(warehouse, D[3], first_event=D[0])

    assert stale_known_then(warehouse, D[4]) == D[3:5]


def known_start(
    settings: Settings, asked: date, stale_days: list[date], published: PublishedDays
) -> date | None:
    """First day of marts as known then of a run of one day whose late events reach back to the first."""
    window = RunWindow.whole(settings, D[0], asked, asked).model_copy(update={"known_start_date": asked})
    return widen(settings, window, replace(published, stale=tuple(stale_days))).window.known_start_date


def test_of_marts_as_known_then_a_run_builds_the_day_that_was_asked_for(project: Settings) -> None:
    published = PublishedDays(D[0], (), known_then=frozenset(D[0:5]))
    assert known_start(project, D[5], D[1:4], published) == D[5]
    # … and those that nobody has built yet, as in the first run of all, …
    assert known_start(project, D[5], D[1:4], replace(published, known_then=frozenset(D[0:4]))) == D[4]
    assert known_start(project, D[5], [], PublishedDays(None, ())) == D[0]
    # … and those that a correction reaches.
    assert known_start(project, D[5], [], replace(published, stale_known_then=tuple(D[2:4]))) == D[2]


def widened(
    settings: Settings, start: date, end: date, stale_days: list[date], as_of: date
) -> tuple[object, ...]:
    """First and last day that are built, and the stale days that are left."""
    window = RunWindow.whole(settings, start, end, as_of)
    found = widen(settings, window, PublishedDays(D[0], tuple(stale_days)))
    return found.window.start_date, found.window.end_date, list(found.left)


def test_a_run_builds_the_stale_days_of_the_window_as_one_range_with_its_own(project: Settings) -> None:
    # A corrected day is run again: what follows it comes along.
    assert widened(project, D[4], D[5], D[5:11], as_of=D[10]) == (D[4], D[10], [])
    # The next morning's run finds what nobody has built yet.
    assert widened(project, D[11], D[11], D[5:11], as_of=D[11]) == (D[5], D[11], [])
    assert widened(project, D[3], D[11], [], as_of=D[11]) == (D[3], D[11], [])


def test_stale_days_that_lie_further_back_are_left_and_named(project: Settings) -> None:
    assert widened(project, D[30], D[30], D[10:30], as_of=D[30]) == (D[16], D[30], D[10:16])


def test_a_run_of_days_that_lie_further_back_builds_those_alone(project: Settings) -> None:
    assert widened(project, D[1], D[2], D[2:31], as_of=D[30]) == (D[1], D[2], D[3:31])


def test_a_range_that_is_asked_for_takes_in_whatever_lies_in_it(project: Settings) -> None:
    assert widened(project, D[2], D[30], D[2:31], as_of=D[30]) == (D[2], D[30], [])


def test_days_that_are_left_are_no_longer_final(warehouse: Warehouse) -> None:
    for mart in ("fct_daily", "fct_journey"):
        publish(warehouse, D[0], D[2], as_of=D[20], mart=mart)

    withdraw_finality(warehouse, [MART, JOURNEYS], D[1:3])

    table = f"`{warehouse.settings.ops_dataset}.publications`"
    final = warehouse.run(f"select mart, partition_date from {table} where is_final order by 1")
    assert [tuple(row.values()) for row in final] == [("fct_daily", D[0]), ("fct_journey", D[0])]
