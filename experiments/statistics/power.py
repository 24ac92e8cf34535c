"""How many units an effect needs to be seen, and what can be seen with the units there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from scipy import optimize, stats

from experiments.statistics.sequential import critical_values, crossing_probability


def required_units(
    variance: float,
    effect: float,
    shares: tuple[float, float],
    alpha: float,
    power: float,
    inflation: float = 1,
) -> int:
    """Units of control and treatment together that show ``effect`` with probability ``power``.

    ``variance`` is that of one unit, what CUPED takes away already taken; ``shares`` are control's and the
    arm's weights; ``alpha`` is two-sided; ``inflation`` is what looking early costs.

    Raises:
        ValueError: the effect is zero.
    """
    if not effect:
        raise ValueError("an effect of nothing needs infinitely many units")
    control, treatment = (share / sum(shares) for share in shares)
    per_unit = variance / control + variance / treatment
    return math.ceil(inflation * per_unit * (_drift(alpha, power) / effect) ** 2)


def detectable_effect(variance: float, alpha: float, power: float) -> float:
    """The smallest effect that is seen with ``power``; ``variance`` is that of the difference."""
    return _drift(alpha, power) * math.sqrt(variance)


def _drift(alpha: float, power: float) -> float:
    return float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power))


@lru_cache(maxsize=256)
def inflation_of_looks(fractions: tuple[float, ...], alpha: float, power: float) -> float:
    """How many times the units of a single look are needed for the same power at the looks' bounds."""
    if len(fractions) == 1:
        return 1.0
    values = critical_values(fractions, alpha)

    def missing(drift: float) -> float:
        return crossing_probability(values, fractions, drift) - power

    single = _drift(alpha, power)
    return float((optimize.brentq(missing, single, 2 * single) / single) ** 2)


def days_until(missing: int, units: int, days: int) -> int | None:
    """Days until ``missing`` more units at the pace of ``units`` in ``days``; None where nobody comes."""
    if missing <= 0:
        return 0
    return math.ceil(missing * days / units) if units and days else None


def corrected_power(power: float, guardrails: int) -> float:
    """The power that each test needs so that all of them together reach ``power``.

    Shipping takes a success metric and every guardrail, so each may miss only its part of what all may
    (Schultzberg, Ankargren & Frånberg 2024, Spotify: risk-aware product decisions).
    """
    return 1 - (1 - power) / (guardrails + 1)


def look_fractions(looks: Sequence[int]) -> tuple[float, ...]:
    """The planned looks, in days, as fractions of the last."""
    return tuple(look / looks[-1] for look in looks)
