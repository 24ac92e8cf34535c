"""Billing exports that are made again, from their rows to the marts: the newest counts, as of its day.

Three exports of one company: ``whole`` names everybody, ``some`` a few with all of their past, ``latest`` the
last periods. Each of them is made on 10 February and again on 10 March.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loaders.landing.period_map import PeriodMap
from loaders.landing.periods import land_periods
from loaders.objects.folder import FolderStore
from tests.dbt.conftest import Warehouse

FEBRUARY, MARCH = date(2026, 2, 10), date(2026, 3, 10)
BEFORE, AFTER = "audit_20260215", "audit_20260320"

WHOLE = """
moved     2026-01-05 -
ended     2026-01-01 -
gone      2026-01-01 2026-02-01 | 2026-02-01 -
cut       2026-01-01 2026-02-01 | 2026-02-01 -
same      2026-01-01 2026-02-01 | 2026-02-01 -
""", """
moved     2026-02-01 -
ended     2026-01-01 2026-02-20
cut       2026-02-01 -
same      2026-01-01 2026-02-01 | 2026-02-01 -
"""  # fmt: skip

SOME = (
    """
dearer    2026-01-01 2026-02-01 10 | 2026-02-01 - 12
unnamed   2026-01-01 -
""",
    """
dearer    2026-01-01 2026-02-01 10 | 2026-02-01 - 15
swaps     2026-01-01 2026-02-01 10 | 2026-02-01 2026-02-01 40 | 2026-02-01 - 12
free      2026-01-01 2026-02-01 10 | 2026-02-01 2026-02-08 trial | 2026-02-08 - 10
""",
)

LATEST = (
    """
rolls     2026-01-01 2026-02-01 10 | 2026-02-01 2026-03-01 12
pauses    2026-01-01 2026-02-01 10 | 2026-02-01 2026-02-05 12
lapses    2026-01-01 2026-02-15 10
grows     2026-01-01 2026-02-15 10
tries     2026-02-01 2026-02-15 trial
reopens   2026-01-01 2026-02-05 10
gifted    2026-01-01 2026-02-15 10
""",
    """
rolls     2026-02-01 2026-03-01 12 | 2026-03-01 2026-04-01 15
pauses    2026-03-01 2026-04-01 12
lapses    2026-03-01 2026-04-01 10
grows     2026-02-15 2026-04-01 14
tries     2026-02-15 2026-04-15 10
reopens   2026-02-05 2026-04-01 10
gifted    2026-02-15 2026-03-10 trial | 2026-03-10 2026-04-10 10
""",
)


def period_map(name: str, covers: str) -> PeriodMap:
    columns = {name: name for name in ("subscription_id", "account_id", "start", "end", "price", "is_trial")}
    solo = {"plan": "Solo", "plan_kind": "individual", "interval": "month", "currency": "USD"}
    return PeriodMap.model_validate(
        {
            "export": {"name": name, "covers": covers},
            "periods": columns | {key: {"constant": value} for key, value in solo.items()},
            "accounts": {"market": {"constant": "US"}, "locale": {"constant": "en"}},
        }
    )


def deliver(warehouse: Warehouse, folder: Path, name: str, covers: str, said: str, arrival: date) -> None:
    """Land what an export says; a period is ``start end price``, by default 10, in a trial ``trial``."""
    lines = ["subscription_id,account_id,start,end,price,is_trial"]
    for line in said.strip().splitlines():
        subscription, periods = line.split(maxsplit=1)
        for period in periods.split("|"):
            start, end, *price = period.split()
            is_trial = price == ["trial"]
            cost = "0" if is_trial else (price or ["10"])[0]
            ends = "" if end == "-" else end
            lines.append(f"{subscription},a_{subscription},{start},{ends},{cost},{str(is_trial).lower()}")
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    out = folder / f"{name}-{arrival}"
    result = land_periods(folder / f"{name}.csv", period_map(name, covers), FolderStore(out), arrival)
    assert result.refused == []
    for path in out.glob("*/*/*.parquet"):
        warehouse.land(path.parent.parent.name, pq.read_table(path).to_pylist())


@pytest.fixture(scope="module")
def exports(new_warehouse: Callable[[str], Warehouse], tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The year up to 15 February as it was known then, and up to 20 March with what was learned since."""
    warehouse = new_warehouse("dbt-exports")
    folder = tmp_path_factory.mktemp("exports")
    for covers, name, (first, again) in (
        ("complete", "whole", WHOLE),
        ("partial", "some", SOME),
        ("rolling", "latest", LATEST),
    ):
        deliver(warehouse, folder, name, covers, first, FEBRUARY)
        deliver(warehouse, folder, name, covers, again, MARCH)
    select = [
        "+int_subscription_known_lives",
        "+fct_subscription_event",
        "+fct_subscription_daily",
        "+agg_mrr_movements_daily",
    ]
    warehouse.build("2026-01-01", "2026-02-15", select=select)
    warehouse.build("2026-01-01", "2026-03-20", select=select)
    return warehouse


def mrr(exports: Warehouse, dataset: str, subscription_id: str) -> list[tuple[Any, ...]]:
    """(first day, last day, MRR) of every stretch of days with the same revenue at their close."""
    stretches: list[list[Any]] = []
    for day, amount in exports.rows(
        f"{dataset}.fct_subscription_daily",
        "snapshot_date, mrr_amount",
        "1",
        f"subscription_id = '{subscription_id}' and was_active_at_day_end",
    ):
        last = stretches[-1] if stretches else None
        if last and last[2] == amount and (date.fromisoformat(day) - date.fromisoformat(last[1])).days == 1:
            last[1] = day
        else:
            stretches.append([day, day, amount])
    return [(first[5:], until[5:], amount) for first, until, amount in stretches]


def events(exports: Warehouse, subscription_id: str) -> list[tuple[Any, ...]]:
    return exports.rows(
        f"{AFTER}.fct_subscription_event",
        "substr(cast(event_date as string), 6), event_type, origin, transition",
        "occurred_at",
        f"subscription_id = '{subscription_id}'",
    )


@pytest.mark.parametrize(
    ("subscription_id", "before", "after"),
    [
        # A complete export: another start, an end in the past, a first row less, and the same again.
        ("moved", [("01-05", "02-15", "10.00")], [("02-01", "03-20", "10.00")]),
        ("ended", [("01-01", "02-15", "10.00")], [("01-01", "02-19", "10.00")]),
        ("cut", [("01-01", "02-15", "10.00")], [("02-01", "03-20", "10.00")]),
        ("same", [("01-01", "02-15", "10.00")], [("01-01", "03-20", "10.00")]),
        # It no longer names a subscription; a partial one that does not says nothing of it.
        ("gone", [("01-01", "02-15", "10.00")], []),
        ("unnamed", [("01-01", "02-15", "10.00")], [("01-01", "03-20", "10.00")]),
        # Another price of the same period.
        (
            "dearer",
            [("01-01", "01-31", "10.00"), ("02-01", "02-15", "12.00")],
            [("01-01", "01-31", "10.00"), ("02-01", "03-20", "15.00")],
        ),
        # Bought and swapped on one day, and free time between two paid periods.
        ("swaps", [], [("01-01", "01-31", "10.00"), ("02-01", "03-20", "12.00")]),
        (
            "free",
            [],
            [("01-01", "01-31", "10.00"), ("02-01", "02-07", "0.00"), ("02-08", "03-20", "10.00")],
        ),
        # A rolling export: what had ended before the first period that it names stays.
        (
            "rolls",
            [("01-01", "01-31", "10.00"), ("02-01", "02-15", "12.00")],
            [("01-01", "01-31", "10.00"), ("02-01", "02-28", "12.00"), ("03-01", "03-20", "15.00")],
        ),
        (
            "pauses",
            [("01-01", "01-31", "10.00"), ("02-01", "02-04", "12.00")],
            [("01-01", "01-31", "10.00"), ("02-01", "02-04", "12.00"), ("03-01", "03-20", "12.00")],
        ),
        # No export told that it ended on 15 February: the one that names it again after a gap shows it.
        ("lapses", [("01-01", "02-15", "10.00")], [("01-01", "02-14", "10.00"), ("03-01", "03-20", "10.00")]),
        (
            "grows",
            [("01-01", "02-15", "10.00")],
            [("01-01", "02-14", "10.00"), ("02-15", "03-20", "14.00")],
        ),
        ("tries", [("02-01", "02-15", "0.00")], [("02-01", "02-14", "0.00"), ("02-15", "03-20", "10.00")]),
        ("reopens", [("01-01", "02-04", "10.00")], [("01-01", "03-20", "10.00")]),
        (
            "gifted",
            [("01-01", "02-15", "10.00")],
            [("01-01", "02-14", "10.00"), ("02-15", "03-09", "0.00"), ("03-10", "03-20", "10.00")],
        ),
    ],
)
def test_the_newest_export_counts_and_a_day_before_it_knows_the_one_before(
    exports: Warehouse, subscription_id: str, before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    assert mrr(exports, BEFORE, subscription_id) == before
    assert mrr(exports, AFTER, subscription_id) == after


@pytest.mark.parametrize(
    ("subscription_id", "told"),
    [
        ("moved", [("02-01", "started", "original", "started")]),
        ("gone", []),
        (
            "free",
            [
                ("01-01", "started", "original", "started"),
                ("02-01", "plan_changed", "original", "price_changed"),
                ("02-08", "plan_changed", "original", "price_changed"),
            ],
        ),
        (
            "gifted",
            [
                ("01-01", "started", "original", "started"),
                ("02-15", "plan_changed", "original", "price_changed"),
                # Its export, which knew of no paid period before, calls it the end of a trial.
                ("03-10", "trial_converted", "original", "price_changed"),
            ],
        ),
        (
            "rolls",
            [
                ("01-01", "started", "original", "started"),
                ("02-01", "plan_changed", "original", "price_changed"),
                ("03-01", "plan_changed", "original", "price_changed"),
            ],
        ),
        (
            "pauses",
            [
                ("01-01", "started", "original", "started"),
                ("02-01", "plan_changed", "original", "price_changed"),
                ("02-05", "expired", "original", "ended"),
                ("03-01", "reactivated", "original", "returned"),
            ],
        ),
        (
            "lapses",
            [
                ("01-01", "started", "original", "started"),
                ("02-15", "expired", "synthetic_expiry", "ended"),
                ("03-01", "reactivated", "original", "returned"),
            ],
        ),
        (
            "grows",
            [
                ("01-01", "started", "original", "started"),
                ("02-15", "plan_changed", "original", "price_changed"),
            ],
        ),
        (
            "tries",
            [
                ("02-01", "trial_started", "original", "started"),
                ("02-15", "trial_converted", "original", "converted"),
            ],
        ),
        (
            "reopens",
            [
                ("01-01", "started", "original", "started"),
                ("02-05", "renewed", "original", "unchanged"),
            ],
        ),
    ],
)
def test_the_events_are_those_of_the_life_that_the_exports_tell_together(
    exports: Warehouse, subscription_id: str, told: list[tuple[Any, ...]]
) -> None:
    assert events(exports, subscription_id) == told


def test_no_start_conflicts_with_what_another_export_told(exports: Warehouse) -> None:
    conflicts = exports.rows(
        f"{AFTER}.int_subscription_periods", "subscription_id", "1", "is_conflicting_opening"
    )
    assert conflicts == []


def test_what_an_export_withdraws_is_counted_by_the_day_on_which_it_arrived(exports: Warehouse) -> None:
    withdrawn = exports.rows(
        f"{AFTER}.int_subscription_versions",
        "known_date, subscription_id",
        "1",
        "event_type = 'withdrawn'",
    )
    assert withdrawn == [("2026-03-10", "gone")]


def test_what_an_export_withdraws_is_unknown_from_its_day_on_and_was_known_before(exports: Warehouse) -> None:
    def known_on(day: str) -> list[tuple[Any, ...]]:
        return exports.rows(
            f"{AFTER}.int_subscription_known_lives",
            "event_type, cast(date(valid_from_at) as string)",
            "valid_from_at",
            f"subscription_id = 'gone' and known_from_date <= '{day}' and known_to_date > '{day}'",
        )

    assert known_on("2026-03-09") == [("started", "2026-01-01")]
    assert known_on("2026-03-10") == []


def test_revenue_is_the_day_before_and_its_movements(exports: Warehouse) -> None:
    [(close, moved)] = exports.rows(
        f"{AFTER}.agg_mrr_movements_daily",
        f"(select sum(mrr_usd_amount) from {AFTER}.fct_subscription_daily where snapshot_date = '2026-03-20'"
        " and was_active_at_day_end) as close, sum(mrr_usd_amount) as moved",
        "1",
    )
    assert close == moved == "158.00"
