"""Each statistic against what is published, or what others who define the same quantity compute."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.statistics.estimate import Estimate, compare
from experiments.statistics.exact import ExactSum
from experiments.statistics.multiplicity import holm, holm_adjusted
from experiments.statistics.power import (
    corrected_power,
    days_until,
    inflation_of_looks,
    required_units,
)
from experiments.statistics.sample_ratio import sample_ratio
from experiments.statistics.sequential import (
    critical_values,
    crossing_probability,
    spent,
)
from experiments.statistics.sums import Sums
from tests.experiments.peers.units import HANDFUL
from tests.experiments.sums_of_units import sums_of

CONTROL, OFFER = (np.array(HANDFUL[arm]) for arm in ("control", "offer"))


def compared(y: int, x: int | None = None, d: int | None = None) -> Estimate:
    return compare(sums_of(CONTROL, y, x, d).moments(), sums_of(OFFER, y, x, d).moments())


def exactly(*values: float) -> object:
    return pytest.approx(values, rel=1e-9, abs=1e-12)


def test_a_mean_is_compared_as_by_scipys_welch_test() -> None:
    welch = stats.ttest_ind(OFFER[0], CONTROL[0], equal_var=False)
    interval = welch.confidence_interval(0.95)

    found = compared(0)

    half = found.half_width(0.05)
    assert (found.p_value, found.degrees) == exactly(welch.pvalue, welch.df)
    assert (found.difference - half, found.difference + half) == exactly(interval.low, interval.high)
    assert (found.control, found.treatment) == exactly(CONTROL[0].mean(), OFFER[0].mean())
    assert found.z == pytest.approx(stats.norm.isf(welch.pvalue / 2))


def test_the_covariate_of_a_mean_is_the_covariate_of_a_ratio_over_ones() -> None:
    ones = {
        arm: np.vstack([units[:2], np.ones(units.shape[1])]) for arm, units in (("c", CONTROL), ("t", OFFER))
    }

    as_ratio = compare(sums_of(ones["c"], 0, 1, 2).moments(), sums_of(ones["t"], 0, 1, 2).moments())

    assert (as_ratio.difference, as_ratio.variance) == exactly(
        compared(0, 1).difference, compared(0, 1).variance
    )


def test_a_ratio_is_of_the_sums_and_not_of_the_units() -> None:
    found = compared(2, d=3)

    assert (found.control, found.treatment) == exactly(70 / 21, 99 / 22)


def test_non_inferiority_counts_controls_own_uncertainty() -> None:
    """Without a covariate it is Welch's test of the offer against control × (1 − margin)."""
    margin = 0.1
    variance = OFFER[0].var(ddof=1) / 9 + (1 - margin) ** 2 * CONTROL[0].var(ddof=1) / 8
    tested = OFFER[0].mean() - (1 - margin) * CONTROL[0].mean()
    found = compared(0)

    assert found.p_value_not_worse(margin, 1) == pytest.approx(
        stats.t.sf(tested / math.sqrt(variance), found.degrees), rel=1e-12
    )
    # Where less is better, the offer must stay below control × (1 + margin).
    variance = OFFER[0].var(ddof=1) / 9 + (1 + margin) ** 2 * CONTROL[0].var(ddof=1) / 8
    tested = (1 + margin) * CONTROL[0].mean() - OFFER[0].mean()
    assert found.p_value_not_worse(margin, -1) == pytest.approx(
        stats.t.sf(tested / math.sqrt(variance), found.degrees), rel=1e-12
    )


def test_what_does_not_vary_has_no_p_value() -> None:
    same = Sums.of(3, sum_y=3, sum_y2=3).moments()

    assert math.isnan(compare(same, same).p_value)


@pytest.mark.parametrize(
    ("units", "allocation", "p_value", "verdict"),
    [
        ({"a": 5000, "b": 5000}, {"a": 1, "b": 1}, 1.0, "ok"),
        ({"a": 5000, "b": 5250}, {"a": 50, "b": 50}, 0.013537, "ok"),
        ({"a": 5000, "b": 5300}, {"a": 1, "b": 1}, 0.003117, "warn"),
        ({"a": 5000, "b": 5400}, {"a": 1, "b": 1}, 0.000088, "block"),
        ({"a": 1000, "b": 9000}, {"a": 10, "b": 90}, 1.0, "ok"),
        ({"a": 10}, {"a": 1, "b": 1}, 0.001565, "warn"),
    ],
)
def test_the_sample_ratio_is_tested_by_chi_square(
    units: dict[str, int], allocation: dict[str, float], p_value: float, verdict: str
) -> None:
    assert sample_ratio(units, allocation) == (pytest.approx(p_value, abs=1e-6), verdict)


def test_bounds_are_those_of_the_published_tables() -> None:
    """Lan-DeMets bounds of O'Brien and Fleming's type: R's ldbounds and gsDesign, two-sided 5% and 10%."""
    fifths = (0.2, 0.4, 0.6, 0.8, 1.0)

    assert critical_values(fifths, 0.05) == pytest.approx((4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=2e-4)
    assert critical_values((0.5, 1.0), 0.05) == pytest.approx((2.9626, 1.9686), abs=1e-4)
    assert critical_values((0.25, 0.5, 0.75, 1.0), 0.1) == pytest.approx(
        (3.7496, 2.5399, 2.0160, 1.7201), abs=1e-4
    )
    assert critical_values((1.0,), 0.05) == pytest.approx((1.959964,), abs=1e-6)
    assert spent(0.05, fifths)[-1] == pytest.approx(0.05)


def test_looks_at_other_times_spend_what_was_planned_by_then() -> None:
    late = critical_values((0.3, 0.9), 0.05)

    assert stats.norm.sf(late[0]) * 2 == pytest.approx(spent(0.05, [0.3])[0])
    assert 2 * crossing_probability(late, (0.3, 0.9), 0.0) == pytest.approx(spent(0.05, [0.9])[0], rel=1e-6)
    assert critical_values((0.001, 1.0), 0.05) == (math.inf, pytest.approx(1.959964, abs=1e-4))
    with pytest.raises(ValueError, match="looks have to rise"):
        critical_values((0.5, 0.5), 0.05)


def test_alpha_may_be_spent_by_days_while_units_come_as_they_will() -> None:
    by_days = critical_values((0.6, 1.0), 0.05, spending=(0.5, 1.0))

    assert by_days[0] == pytest.approx(2.9626, abs=1e-4)
    # The looks have more in common than days say, so less is wasted.
    assert by_days[1] < 1.9686


def test_holm_steps_down_until_something_is_kept() -> None:
    p_values = {"a": 0.011, "b": 0.02, "c": 0.04, "d": 0.3}

    def level(alpha: float) -> float:
        return alpha

    assert holm(p_values, 0.05, level) == {"a": True, "b": False, "c": False, "d": False}
    assert holm(p_values, 0.06, level) == {"a": True, "b": True, "c": False, "d": False}
    assert holm_adjusted(p_values) == {"a": 0.044, "b": 0.06, "c": 0.08, "d": 0.3}


def test_units_are_the_textbooks() -> None:
    """0.10 to 0.12 at 80% power: 3,841 an arm (Fleiss, without continuity correction, unpooled: 3,839)."""
    variance = (0.1 * 0.9 + 0.12 * 0.88) / 2

    assert required_units(variance, 0.02, (1, 1), 0.05, 0.8) / 2 == pytest.approx(3839, abs=2)
    # One in ten in control: 25 / 9 of the units of two halves.
    assert required_units(variance, 0.02, (10, 90), 0.05, 0.8) == pytest.approx(2 * 3839 * 25 / 9, rel=1e-3)
    assert corrected_power(0.8, 1) == pytest.approx(0.9)
    assert days_until(3_000, 1_000, 7) == 21
    assert (days_until(-1, 5, 1), days_until(4, 0, 1)) == (0, None)
    # gsDesign's inflation factor of sfLDOF at five looks and 80% is between 1.02 and 1.03.
    assert inflation_of_looks((0.2, 0.4, 0.6, 0.8, 1.0), 0.05, 0.8) == pytest.approx(1.0247, abs=1e-3)


finite = st.floats(min_value=-1e60, max_value=1e60, allow_subnormal=False).filter(
    lambda value: value == 0 or abs(value) > 1e-60
)


@given(st.lists(st.tuples(finite, finite), max_size=30), st.randoms())
def test_sums_are_exact_in_every_order(pairs: list[tuple[float, float]], random: object) -> None:
    left, right = np.array(pairs, dtype=float).reshape(-1, 2).T
    order = list(range(len(pairs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    whole, products = ExactSum(), ExactSum()

    whole.add(left[order])
    products.add_products(left, right)

    assert whole.total() == sum(map(Fraction, left.tolist()))
    assert products.total() == sum(
        Fraction(one) * Fraction(other) for one, other in zip(left.tolist(), right.tolist(), strict=True)
    )


def test_days_and_parts_of_days_add_up_in_every_order() -> None:
    """0.1 + 0.2 + 0.3 of a warehouse is the same in every order, though not of doubles."""
    days = [
        Sums.of(2, sum_y=Decimal("0.1"), sum_y2=Decimal("0.3"), sum_x=0.1, sum_x2=0.7, sum_xy=0.3),
        Sums.of(1, sum_y=Decimal("0.2"), sum_y2=Decimal("0.1"), sum_x=0.2, sum_x2=0.1, sum_xy=0.7),
        Sums.of(3, sum_y=Decimal("0.3"), sum_y2=Decimal("0.7"), sum_x=0.3, sum_x2=0.3, sum_xy=0.1),
    ]

    assert len({first + second + third for first, second, third in itertools.permutations(days)}) == 1
    assert days[0] + days[1] - days[1] == days[0]
    with pytest.raises(ValueError, match="sum_x is known of one part only"):
        days[0] + Sums.of(1, sum_y=1, sum_y2=1)


def test_a_large_constant_changes_no_variance() -> None:
    """Σy² − (Σy)²/n of doubles would have lost every digit of it."""
    values = np.array([1e9 + 1, 1e9 + 2, 1e9 + 4])
    total, squares = ExactSum(), ExactSum()
    total.add(values)
    squares.add_products(values, values)

    moments = Sums.of(3, sum_y=total.total(), sum_y2=squares.total()).moments()

    assert moments.var_y == 7 / 3
