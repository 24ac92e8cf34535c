"""A readout of a day adds up the sums of the days before it, whatever they were cut into."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import permutations

from experiments.daily import DailySums, DayReadout, readout_of_day
from experiments.declaration import Experiment, Metric
from experiments.results import Readout

START = date(2026, 9, 1)
METRIC = {"version": 1, "owner": "growth", "description": "–", "window_days": 7, "worse": "lower"}
DAYS = {"mart": "fct_subscriber_daily", "day": "snapshot_date"}
METRICS = {
    "paid": Metric.model_validate(METRIC | {
        "id": "paid", "value": DAYS | {"column": "is_paid", "aggregate": "any"},
    }),
    "mrr": Metric.model_validate(METRIC | {
        "id": "mrr", "covariate_days": None,
        "value": DAYS | {"column": "mrr_usd_amount", "aggregate": "last"},
    }),
}  # fmt: skip
EXPERIMENT = Experiment.model_validate({
    "id": "trial", "version": 1, "owner": "growth", "hypothesis": "–", "surface": "home", "salt": "trial",
    "variants": [{"name": "control", "percent": 50}, {"name": "thirty_days", "percent": 50}],
    "control": "control",
    "metrics": [
        {"metric": "paid", "role": "success", "minimum_effect": 0.1},
        {"metric": "mrr", "role": "guardrail", "margin": 0.5},
    ],
    "looks": [14, 28], "start": START, "end": date(2026, 9, 21),
})  # fmt: skip


def exposed(variant: str, day: int, units: int, mismatches: int = 0, metric: str = "exposures") -> DailySums:
    return DailySums(variant, metric, START + timedelta(days=day), units, {"sum_y": Decimal(mismatches)})


def paid(variant: str, day: int, units: int, payers: int) -> DailySums:
    """Of accounts exposed a week before ``day``; half of those who pay had paid before."""
    sums = {
        "sum_y": payers,
        "sum_y2": payers,
        "sum_x": payers // 2,
        "sum_x2": payers // 2,
        "sum_xy": payers // 2,
    }
    return DailySums(variant, "paid", START + timedelta(days=day), units, sums)


def mrr(variant: str, day: int, units: int, total: str, squares: str) -> DailySums:
    sums = {"sum_y": Decimal(total), "sum_y2": Decimal(squares)}
    return DailySums(variant, "mrr", START + timedelta(days=day), units, sums)


ROWS = [
    *(exposed(variant, day, 100) for variant in ("control", "thirty_days") for day in range(14)),
    *(paid("control", day, 100, 10) for day in range(7, 14)),
    *(paid("thirty_days", day, 100, 20 + day % 3) for day in range(7, 14)),
    *(mrr("control", day, 100, "100.10", "1002.0001") for day in range(7, 14)),
    *(mrr("thirty_days", day, 100, "110.20", "1302.0004") for day in range(7, 14)),
]


def read(rows: list[DailySums], day: int) -> DayReadout:
    """After ``day`` complete days."""
    found = readout_of_day(EXPERIMENT, METRICS, rows, START + timedelta(days=day - 1))
    assert found is not None
    return found


def test_a_day_adds_up_what_was_complete_by_then() -> None:
    found = read(ROWS, 14)

    arm = found.readout.arms["thirty_days"].metrics["paid"]
    assert (found.readout.units, found.readout.is_planned_look) == (2_800, True)
    assert found.measured["control", "paid"] == found.measured["thirty_days", "mrr"] == 700
    assert (arm.control, arm.treatment) == (70 / 700, 147 / 700)
    assert (arm.status, found.readout.verdict) == ("improved", "ship")
    # The day before, one day's accounts less, and no look that was planned.
    before = read(ROWS, 13)
    assert (before.measured["control", "paid"], before.readout.is_planned_look) == (600, False)


@given(permutations(ROWS))
def test_days_in_another_order_and_a_day_in_two_loads_change_nothing(rows: list[DailySums]) -> None:
    [first, *others] = rows

    def part(units: int, of: Callable[[Any], Any]) -> DailySums:
        sums = {name: of(value) for name, value in first.sums.items()}
        return DailySums(first.variant, first.metric, first.metric_date, units, sums)

    split = [part(first.units // 3, lambda value: Decimal(value) / 4)]
    split.append(part(first.units - first.units // 3, lambda value: Decimal(value) * 3 / 4))

    assert read([*others[:20], split[0], *others[20:], split[1]], 14) == read(ROWS, 14)


def test_who_was_exposed_before_the_start_or_after_the_end_is_in_no_sum() -> None:
    late = [exposed("control", 21, 50), paid("control", 28, 50, 50)]
    early = [exposed("control", -1, 50), paid("control", 6, 50, 50)]

    assert read([*early, *ROWS, *late], 35) == read(ROWS, 35)


def test_nobody_was_exposed_yet() -> None:
    assert readout_of_day(EXPERIMENT, METRICS, [], START) is None
    assert readout_of_day(EXPERIMENT, METRICS, [exposed("control", 1, 5)], START) is None


def test_before_the_first_window_is_over_there_is_nothing_but_the_ratio() -> None:
    found = read(ROWS, 5)

    arm = found.readout.arms["thirty_days"].metrics["paid"]
    assert (arm.control, arm.p_value, arm.interval, arm.status) == (None, None, None, "unclear")
    assert (found.readout.sample_ratio.verdict, found.readout.verdict) == ("ok", "keep running")


@pytest.mark.parametrize(("mismatches", "verdict"), [(2, "ship"), (3, "blocked")])
def test_more_than_a_thousandth_of_variants_logged_otherwise_than_drawn_blocks(
    mismatches: int, verdict: str
) -> None:
    result = read([exposed("control", 0, 0, mismatches), *ROWS], 14).readout

    assert result.verdict == result.arms["thirty_days"].verdict == verdict
    note = f"{mismatches} of 2,800 accounts were logged in another variant than was drawn"
    assert result.reasons[-1] == note
    assert result.reasons[0].startswith("0.11% of the accounts were logged") == (verdict == "blocked")


def test_the_reasons_say_who_is_in_no_arm_and_what_was_taken_from_decisions() -> None:
    result: Readout = read([
        *ROWS,
        # One of them had been counted on the day before.
        exposed("control", 2, 3, 1, metric="excluded_two_variants"),
        exposed("thirty_days", 2, 2, metric="excluded_two_variants"),
        exposed("unknown", 2, 1, metric="excluded_unknown_variant"),
        exposed("control", 3, 40, metric="exposures_by_decision"),
    ], 14).readout  # fmt: skip

    assert (result.units, result.control_units) == (2_799, 1_399)
    assert result.reasons[-3:] == [
        "40 of 2,799 accounts count from the decision: no surface told of their exposure",
        "5 accounts were seen in two variants and are in none",
        "1 accounts were seen in a variant that is not declared and are in none",
    ]
