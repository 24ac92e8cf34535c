"""How good a model is for parts of the accounts, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.slices import divisions_of, slices_of, tenure_band


def test_every_part_has_its_own_numbers() -> None:
    market = ["SE"] * 100 + ["DE"] * 60
    # In Sweden half of 100 at 0.5; in Germany, at 0.2, thirty of sixty.
    probabilities = np.array([0.5] * 100 + [0.2] * 60)
    outcomes = np.array([1.0, 0] * 50 + [1.0, 0] * 30)

    german, swedish = slices_of({"market": market}, outcomes, probabilities)

    assert [(each.by, each.value, each.rows, each.events) for each in (german, swedish)] == [
        ("market", "DE", 60, 30),
        ("market", "SE", 100, 50),
    ]
    assert (swedish.predicted, swedish.observed, swedish.auc) == (0.5, 0.5, 0.5)
    assert (german.predicted, german.observed) == (pytest.approx(0.2), 0.5)
    # Wilson's interval of 50 of 100.
    assert swedish.observed_interval == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert swedish.log_loss == pytest.approx(np.log(2))
    # One prediction for all has no line.
    assert swedish.calibration is None


def test_a_part_with_few_events_has_counts_and_no_discrimination() -> None:
    outcomes = np.array([1.0] * 19 + [0.0] * 81)

    [found] = slices_of({"age band": ["1985-1999"] * 100}, outcomes, np.linspace(0.9, 0.1, 100))

    assert (found.rows, found.events, found.observed) == (100, 19, 0.19)
    assert (found.auc, found.log_loss, found.calibration) == (None, None, None)


def test_rows_that_say_nothing_of_themselves_are_a_part() -> None:
    found = slices_of({"age band": ["1985-1999", None, None]}, np.array([1.0, 0, 0]), np.full(3, 0.3))

    assert [(each.value, each.rows) for each in found] == [("1985-1999", 1), ("unknown", 2)]


def test_tenures_come_by_their_length() -> None:
    bands = [tenure_band(days) for days in (400.0, 3.0, 45.0)]

    found = slices_of({"tenure": bands}, np.array([1.0, 0, 0]), np.full(3, 0.3))

    assert [each.value for each in found] == ["up to 30 days", "31 to 90 days", "more than 365 days"]


def test_an_uplift_is_told_where_both_arms_are() -> None:
    is_treated = np.array([True, True, False, False, True, True])
    outcomes = np.array([1.0, 1, 1, 0, 0, 1])
    uplifts = np.array([0.2, 0.2, 0.1, 0.1, 0.3, 0.3])

    both, one = slices_of(
        {"market": ["BR", "BR", "BR", "BR", "JP", "JP"]}, outcomes, np.full(6, 0.5), uplifts, is_treated
    )

    assert (both.observed_uplift, both.predicted_uplift) == (0.5, pytest.approx(0.15))
    assert (one.observed_uplift, one.predicted_uplift) == (None, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("days", "band"),
    [
        (0, "up to 30 days"), (30, "up to 30 days"), (31, "31 to 90 days"), (365, "91 to 365 days"),
        (366, "more than 365 days"), (None, None), (np.nan, None),
    ],
)  # fmt: skip
def test_tenures_have_bands(days: float | None, band: str | None) -> None:
    assert tenure_band(days) == band


def test_divisions_are_those_that_the_columns_tell() -> None:
    assert divisions_of({"market": ["SE", None], "tenure_days": [10, 400]}) == {
        "market": ["SE", None],
        "tenure": ["up to 30 days", "more than 365 days"],
    }
