"""The sufficient statistics of units in memory."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from experiments.statistics.sums import Sums


def sums_of(units: np.ndarray, y: int, x: int | None = None, d: int | None = None) -> Sums:
    """Of units whose columns are values: value or numerator, covariate, denominator."""

    def total(*columns: int) -> Fraction:
        return Fraction(math.fsum(np.prod(units[list(columns)], axis=0)))

    found = {"sum_y": total(y), "sum_y2": total(y, y)}
    if x is not None:
        found |= {"sum_x": total(x), "sum_x2": total(x, x), "sum_xy": total(x, y)}
    if d is not None:
        found |= {"sum_d": total(d), "sum_d2": total(d, d), "sum_yd": total(y, d)}
    if x is not None and d is not None:
        found["sum_xd"] = total(x, d)
    return Sums.of(units.shape[1], **found)
