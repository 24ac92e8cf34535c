"""An arm against control: difference and relative lift, with CUPED, for means and ratios alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from experiments.statistics.moments import Moments, Value


@dataclass(frozen=True)
class Estimate:
    """What the arm has more than control, and how sure that is.

    ``control`` and ``treatment`` are what was observed; ``difference`` is what is left of theirs once the
    covariate's part is taken out, and is theirs where there is no covariate.
    """

    control: Value
    treatment: Value
    difference: Value
    variance: Value
    """Of ``difference``."""
    degrees: Value
    """Of freedom, after Welch and Satterthwaite."""
    theta: Value
    variance_reduction: Value
    """Share of the variance of the plain difference that the covariate takes away."""
    control_variance: Value
    """Of ``control``."""
    control_covariance: Value
    """Of ``difference`` with ``control``."""

    @property
    def p_value(self) -> Value:
        """Two-sided, of no difference; a value of nan where nothing varies."""
        return two_sided(self.difference, self.variance, self.degrees)

    @property
    def z(self) -> Value:
        """The normal deviate of the same p value, for bounds that are given as deviates."""
        return np.sign(self.difference) * stats.norm.isf(self.p_value / 2)

    def half_width(self, level: Value) -> Value:
        """Of the interval that misses the truth with probability ``level``."""
        return stats.t.isf(level / 2, self.degrees) * np.sqrt(self.variance)

    @property
    def relative(self) -> Value:
        """Difference over control."""
        return self.difference / self.control

    @property
    def relative_variance(self) -> Value:
        """Of ``relative``, by the delta method: control is as uncertain as the difference is."""
        lift = self.relative
        spread = self.variance + lift**2 * self.control_variance - 2 * lift * self.control_covariance
        return spread / self.control**2

    def p_value_not_worse(self, margin: Value, sign: int) -> Value:
        """One-sided, of being worse by ``margin`` (a share of control) or more; small where that is excluded.

        ``sign`` is 1 where more is better and -1 where less is. Control's own uncertainty is part of the
        test, which is of sign × difference + margin × |control|.
        """
        share = margin * np.sign(self.control)
        tested = sign * self.difference + share * self.control
        spread = self.variance + share**2 * self.control_variance + 2 * sign * share * self.control_covariance
        return stats.t.sf(tested / np.sqrt(spread), self.degrees)


def two_sided(difference: Value, variance: Value, degrees: Value) -> Value:
    """The two-sided p value of Student's t."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 2 * stats.t.sf(np.abs(difference) / np.sqrt(variance), degrees)


def compare(control: Moments, treatment: Moments) -> Estimate:
    """Welch's comparison of two means, or of two ratios by the delta method (Deng, Knoblich & Lu 2018).

    With a covariate it is CUPED (Deng, Xu, Kohavi & Walker 2013): theta is the slope over the units of both
    arms together, as GrowthBook's gbstats and Spotify's Confidence have it.
    """
    c, t = control, treatment
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = t.mean_x - c.mean_x
        between = c.n * t.n / (c.n + t.n)
        crossed = (c.n - 1) * c.covariance + (t.n - 1) * t.covariance + between * shift * (t.value - c.value)
        squared = (c.n - 1) * c.var_x + (t.n - 1) * t.var_x + between * shift**2
        theta = np.where(squared > 0, crossed / np.where(squared > 0, squared, 1), 0.0)[()]

        def adjusted(arm: Moments) -> Value:
            left = arm.variance - 2 * theta * arm.covariance + theta**2 * arm.var_x
            return np.maximum(left, 0.0) / arm.n

        of_control, of_treatment = adjusted(c), adjusted(t)
        variance = of_control + of_treatment
        plain = c.variance / c.n + t.variance / t.n
        degrees = variance**2 / (of_control**2 / (c.n - 1) + of_treatment**2 / (t.n - 1))
        return Estimate(
            control=c.value,
            treatment=t.value,
            difference=t.value - c.value - theta * shift,
            variance=variance,
            degrees=degrees,
            theta=theta,
            variance_reduction=1 - variance / plain,
            control_variance=c.variance / c.n,
            control_covariance=-(c.variance - theta * c.covariance) / c.n,
        )
