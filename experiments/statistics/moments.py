"""Means, variances and covariances of an arm's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Value = Any
"""A number, or an array of one number per repetition."""


@dataclass(frozen=True)
class Moments:
    """Per unit, with n − 1 in variances and covariances.

    ``y`` value or numerator, ``d`` denominator (1 for a mean), ``x`` covariate (0 without one).
    """

    n: Value
    mean_y: Value
    var_y: Value
    mean_x: Value = 0.0
    var_x: Value = 0.0
    cov_xy: Value = 0.0
    mean_d: Value = 1.0
    var_d: Value = 0.0
    cov_yd: Value = 0.0
    cov_xd: Value = 0.0

    @classmethod
    def of_units(
        cls, y: npt.NDArray[Any], x: npt.NDArray[Any] | None = None, d: npt.NDArray[Any] | None = None
    ) -> Moments:
        """Of units along the last axis, for simulations; the axes before it are repetitions."""
        n = y.shape[-1]

        def covariance(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Value:
            means = left.mean(-1) * right.mean(-1)
            return ((left * right).mean(-1) - means) * n / (n - 1)

        found: dict[str, Value] = {"n": float(n), "mean_y": y.mean(-1), "var_y": covariance(y, y)}
        if x is not None:
            found |= {"mean_x": x.mean(-1), "var_x": covariance(x, x), "cov_xy": covariance(x, y)}
        if d is not None:
            found |= {"mean_d": d.mean(-1), "var_d": covariance(d, d), "cov_yd": covariance(y, d)}
        if x is not None and d is not None:
            found["cov_xd"] = covariance(x, d)
        return cls(**found)

    @property
    def value(self) -> Value:
        """The mean, or the ratio of the two sums."""
        return self.mean_y / self.mean_d

    @property
    def variance(self) -> Value:
        """Of one unit's part in the value: (y − R d) / E[d], the delta method's linear form of a ratio."""
        ratio = self.value
        spread = self.var_y - 2 * ratio * self.cov_yd + ratio**2 * self.var_d
        return spread / self.mean_d**2

    @property
    def covariance(self) -> Value:
        """Of one unit's part in the value with its covariate."""
        return (self.cov_xy - self.value * self.cov_xd) / self.mean_d
