"""A few rows that all others are worth something by: most of them refused is no small matter."""

from __future__ import annotations

from datetime import date

import pytest

from loaders.landing.read_days import TableLanding, too_many_refusals
from segue.settings import Settings

SETTINGS = Settings(_env_file=None)


def refused(rows: int, of: int, table: str = "fx_rates") -> list[str]:
    day = TableLanding(table, date(2026, 3, 10), rows_in=of, rows_out=of - rows, rows_quarantined=rows)
    return list(too_many_refusals(SETTINGS, day))


@pytest.mark.parametrize("table", ["fx_rates", "plans", "plan_prices"])
def test_one_that_is_refused_wholly_stops_the_day_however_small(table: str) -> None:
    assert refused(1, 1, table) == [
        f"{table}/2026-03-10: not one of its 1 rows keeps the contract; see quarantine.{table}"
    ]
    assert refused(6, 6, table) != []


def test_more_than_half_of_a_small_one_stops_the_day_and_less_does_not() -> None:
    assert refused(4, 7) == [
        "fx_rates/2026-03-10: 4 of 7 rows break the contract, more than 5%; see quarantine.fx_rates"
    ]
    assert refused(3, 7) == []
    assert refused(0, 0) == []


def test_a_small_day_of_events_may_lose_a_few_rows() -> None:
    assert refused(3, 3, "consents") == []
