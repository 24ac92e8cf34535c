"""The sufficient statistics of an arm: all that a readout ever needs to know of its units."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from experiments.statistics.moments import Moments

Number = int | float | Decimal | Fraction


@dataclass(frozen=True)
class Sums:
    """Of one arm and metric, over some units: a day's, or many days' together.

    ``y`` is the metric's value (a ratio's numerator), ``d`` a ratio's denominator, ``x`` the covariate from
    before the exposure; a metric without them has None there. Kept as exact fractions: days and parts of
    days add up to the same in every order.
    """

    n: int
    sum_y: Fraction
    sum_y2: Fraction
    sum_x: Fraction | None = None
    sum_x2: Fraction | None = None
    sum_xy: Fraction | None = None
    sum_d: Fraction | None = None
    sum_d2: Fraction | None = None
    sum_yd: Fraction | None = None
    sum_xd: Fraction | None = None

    @classmethod
    def of(cls, n: int, **sums: Number | None) -> Sums:
        """From whatever a warehouse gives: the fields' names, whole, decimal or floating numbers."""
        known = {name: None if value is None else Fraction(value) for name, value in sums.items()}
        return cls(int(n), **known)  # type: ignore[arg-type]

    def __add__(self, other: Sums) -> Sums:
        return self._combined(other, 1)

    def __sub__(self, other: Sums) -> Sums:
        return self._combined(other, -1)

    def _combined(self, other: Sums, sign: int) -> Sums:
        added: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if (mine is None) != (theirs is None):
                raise ValueError(f"{field.name} is known of one part only")
            added[field.name] = None if mine is None else mine + sign * theirs
        return Sums(**added)

    @property
    def has_denominator(self) -> bool:
        """Whether it is a ratio of two sums."""
        return self.sum_d is not None

    @property
    def has_covariate(self) -> bool:
        """Whether the covariate can be used: a ratio's needs its products with the denominator too."""
        return self.sum_xy is not None and (not self.has_denominator or self.sum_xd is not None)

    def moments(self) -> Moments:
        """Means, variances and covariances per unit, rounded once, at the end."""
        n, y, y2 = self.n, self.sum_y, self.sum_y2
        zero = Fraction(0)
        x, x2, xy = self.sum_x or zero, self.sum_x2 or zero, self.sum_xy or zero
        if self.sum_d is None:
            # A mean is a ratio whose denominator is 1 for every unit.
            d, d2, yd, xd = Fraction(n), Fraction(n), y, x
        else:
            d, d2, yd = self.sum_d, self.sum_d2 or zero, self.sum_yd or zero
            xd = self.sum_xd or zero
        if not self.has_covariate:
            x = x2 = xy = xd = zero

        # NumPy's numbers answer nan or infinity where Python's would raise.
        def mean(total: Fraction) -> np.float64:
            return np.float64(total / n if n else math.nan)

        def covariance(products: Fraction, left: Fraction, right: Fraction) -> np.float64:
            return np.float64((products - left * right / n) / (n - 1) if n > 1 else math.nan)

        return Moments(
            n=np.float64(n),
            mean_y=mean(y),
            var_y=covariance(y2, y, y),
            mean_x=mean(x),
            var_x=covariance(x2, x, x),
            cov_xy=covariance(xy, x, y),
            mean_d=mean(d),
            var_d=covariance(d2, d, d),
            cov_yd=covariance(yd, y, d),
            cov_xd=covariance(xd, x, d),
        )
