"""A feed is stale when it brings nothing for longer than it ever has lately."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from runs.feed_freshness import StaleFeed, arrived_since, stale_feeds

DAY = date(2026, 11, 26)


def every(days: int, until: int) -> list[date]:
    """Deliveries so many days apart, the last one ``until`` days before the day."""
    return [DAY - timedelta(days=until + days * number) for number in range(12)]


@pytest.mark.parametrize(
    ("rhythm", "age", "is_stale"),
    [
        (1, 0, False),
        (1, 2, False),
        (1, 3, True),
        (7, 10, False),
        (7, 12, True),
        (10, 15, False),
        (10, 16, True),
        (28, 42, False),
        (28, 43, True),
        (91, 137, False),
        (91, 138, True),
        (91, 270, True),
        # What is gone for good stays late.
        (1, 118, True),
        (7, 150, True),
        (30, 300, True),
    ],
)
def test_each_feed_is_waited_for_by_its_own_rhythm(rhythm: int, age: int, is_stale: bool) -> None:
    assert bool(stale_feeds({"feed": every(rhythm, age)}, DAY)) == is_stale


def test_a_feed_has_come_again_once_it_brings_rows_on_the_day_that_they_were_missing_or_later() -> None:
    delivered = {"plans": [date(2026, 11, 1), date(2026, 11, 20)]}

    assert arrived_since(delivered, "plans", date(2026, 11, 20))
    assert not arrived_since(delivered, "plans", date(2026, 11, 21))
    assert not arrived_since(delivered, "fx_rates", date(2026, 11, 1))


def test_what_is_said_names_the_last_delivery() -> None:
    [found] = stale_feeds({"fx_rates": every(1, 5), "payments": every(1, 0)}, DAY)

    assert found == StaleFeed("fx_rates", date(2026, 11, 21), 5, 1)
    assert found.describe() == (
        "fx_rates has brought no row since 2026-11-21, 5 days before; lately it never took longer than 1 "
        "day(s)"
    )


def test_a_feed_that_was_monthly_and_is_daily_now_is_waited_for_as_a_daily_one() -> None:
    monthly = [DAY - timedelta(days=days) for days in (110, 80, 50)]
    daily = [DAY - timedelta(days=days) for days in range(4, 36)]

    assert [each.longest_days for each in stale_feeds({"feed": [*monthly, *daily]}, DAY)] == [1]


def test_nobody_knows_the_rhythm_of_a_feed_that_came_three_times() -> None:
    assert stale_feeds({"plans": every(1, 60)[:3]}, DAY) == []


def test_arrivals_after_the_day_are_not_known_on_it() -> None:
    later = [DAY + timedelta(days=1)]

    assert stale_feeds({"feed": [*every(1, 4), *later]}, DAY) != []
