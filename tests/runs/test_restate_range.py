"""A long range is built again in chunks, after it was said what that takes; what may not be, is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.landing.arrivals import Arrivals
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import append_rows
from runs.published import published_marts
from runs.restate_range import (
    LIMITS,
    Chunk,
    RangePlan,
    chunks_of,
    limit_of,
    plan_range,
    refuse_unknown_days,
)
from segue.settings import PROJECT_ROOT, Settings
from segue.window import ImpossibleDaysError, days_between

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 10)
START = date(2025, 12, 1)
TODAY = date(2026, 3, 20)


def test_the_oldest_chunk_comes_first_and_the_last_may_be_shorter() -> None:
    assert chunks_of(FIRST, LAST, 31) == (
        Chunk(date(2026, 1, 1), date(2026, 1, 31)),
        Chunk(date(2026, 2, 1), date(2026, 3, 3)),
        Chunk(date(2026, 3, 4), date(2026, 3, 10)),
    )


@given(st.integers(0, 900), st.integers(1, 366))
def test_every_day_is_in_exactly_one_chunk(days: int, chunk_days: int) -> None:
    last = FIRST + timedelta(days=days)
    chunks = chunks_of(FIRST, last, chunk_days)

    covered = [day for chunk in chunks for day in days_between(chunk.start_date, chunk.end_date)]
    assert covered == list(days_between(FIRST, last))
    assert all((chunk.end_date - chunk.start_date).days < chunk_days for chunk in chunks)


SETTINGS = Settings(_env_file=None, history_start_date=START)
ARRIVALS = Arrivals(START, {day: frozenset({"payments"}) for day in days_between(FIRST, LAST)}, {})


def test_days_that_have_arrived_may_be_built_and_those_before_the_first_arrival_too() -> None:
    refuse_unknown_days(SETTINGS, ARRIVALS, START, LAST, TODAY)


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (START - timedelta(days=1), LAST, "2025-11-30 is before `SEGUE_HISTORY_START_DATE`, 2025-12-01"),
        (FIRST, LAST + timedelta(days=1), "2026-03-11 has not arrived: the newest arrival day is 2026-03-10"),
    ],
)
def test_other_days_are_refused_with_the_reason(first: date, last: date, reason: str) -> None:
    with pytest.raises(ImpossibleDaysError, match=reason):
        refuse_unknown_days(SETTINGS, ARRIVALS, first, last, TODAY)


def test_today_is_refused_although_content_of_it_has_arrived() -> None:
    with pytest.raises(ImpossibleDaysError, match="2026-03-10 is not over"):
        refuse_unknown_days(SETTINGS, ARRIVALS, FIRST, LAST, LAST)


def test_yesterday_is_refused_while_it_has_not_arrived_whole(world: Callable[..., Settings]) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    settings = world("not-whole", history_start_date=yesterday - timedelta(days=9), landing_deadline_hours=48)
    landed = {"run_date": yesterday - timedelta(days=1), "step": "land", "table_name": "payments", "files": 1}
    append_rows(warehouse_of(settings), "run_ledger", [landed, landed | {"run_date": yesterday}])

    with pytest.raises(ImpossibleDaysError, match=f"{yesterday} has not arrived whole: .*no file"):
        plan_range(settings, yesterday, yesterday, 31)


def test_the_page_has_the_table_that_the_code_goes_by() -> None:
    page = (PROJECT_ROOT / "docs" / "operate.md").read_text()
    table = page.partition("## Build a range again")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]

    assert table.splitlines() == [
        f"| {limit.what} | {limit.reach} | {limit.why} |" for limit in LIMITS.values()
    ]


def test_every_published_mart_has_a_limit(dbt_world: Callable[..., Settings]) -> None:
    settings = dbt_world("limits")
    limits = {mart.name: limit_of(mart) for mart in published_marts(settings.dbt_manifest)}

    assert limits["fct_subscriber_daily"].first_day(SETTINGS, ARRIVALS) == START
    assert limits["offer_segments"].first_day(SETTINGS, ARRIVALS) == FIRST
    assert limits["dim_plan"].first_day(SETTINGS, ARRIVALS) is None


def test_a_plan_counts_the_partitions_and_those_that_are_replaced(dbt_world: Callable[..., Settings]) -> None:
    settings = dbt_world("range", history_start_date=START)
    warehouse = warehouse_of(settings)
    landed = [
        {"run_date": day, "step": "land", "table_name": "payments", "files": 1} for day in (FIRST, LAST)
    ]
    append_rows(warehouse, "run_ledger", landed)
    published = {"run_date": FIRST, "publication_id": "p", "mart": "fct_subscriber_daily"}
    append_rows(warehouse, "publications", [published | {"partition_date": FIRST}])

    plan = plan_range(settings, FIRST, LAST, 31)

    assert isinstance(plan, RangePlan)
    assert plan.partitions["fct_subscriber_daily"] == 69
    assert (len(plan.chunks), plan.published_before, plan.bytes_replaced) == (3, 1, 0)
    assert plan.lines()[0] == (
        "69 days in 3 chunks, each built and published by itself: 2026-01-01..2026-01-31, "
        "2026-02-01..2026-03-03, 2026-03-04..2026-03-10"
    )
    whole = next(line for line in plan.lines() if line.startswith("tables that are published whole"))
    assert "(`dim_…`) are built again never: they have no days" in whole
    assert "dim_plan" in whole
    assert not [line for line in plan.lines() if "as it was known then" in line]
