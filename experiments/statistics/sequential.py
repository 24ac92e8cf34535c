"""Looking before the end: bounds for looks that were planned, and an interval for those that were not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from experiments.statistics.moments import Value

_FAR: Final = 9.0
"""Standard deviations beyond which a normal distribution has nothing that a double could count."""
_NODES_PER_DEVIATION: Final = 6
_FEWEST_NODES: Final = 96
_MOST_NODES: Final = 3_000
_NOTHING: Final = 1e-15

Floats = npt.NDArray[np.float64]


def spent(alpha: float, fractions: Sequence[float]) -> list[float]:
    """How much of a two-sided ``alpha`` is used up at each fraction of the information.

    Lan & DeMets 1983, of O'Brien and Fleming's type: next to nothing early, so that the last look is nearly
    as sharp as a single one. Half of alpha is spent on either side.
    """
    per_side = alpha / 2
    deviate = stats.norm.isf(per_side / 2)
    return [float(4 * stats.norm.sf(deviate / math.sqrt(fraction))) for fraction in fractions]


@lru_cache(maxsize=1_024)
def critical_values(
    information: tuple[float, ...], alpha: float, spending: tuple[float, ...] | None = None
) -> tuple[float, ...]:
    """The deviates that |z| has to exceed at each look; all looks together err with probability ``alpha``.

    ``information`` is the share of the planned units that each look so far has had; looks may come at other
    times than planned, and beyond 1. ``spending`` are the fractions by which alpha is spent, where those are
    not the information's: days of the planned duration, say. A look so early that nothing is spent has
    infinity.

    Found by recursive numerical integration (Armitage, McPherson & Rowe 1969; Jennison & Turnbull 2000, 19).

    Raises:
        ValueError: the looks do not rise, or a fraction is beyond 1.
    """
    looks = np.array(information, dtype=float)
    fractions = spending or tuple(float(look) for look in looks / max(1.0, looks[-1]))
    steps = np.diff(np.concatenate([[0.0], looks]))
    if len(fractions) != len(looks) or (steps <= 0).any() or not 0 < max(fractions) <= 1:
        raise ValueError("looks have to rise, and alpha is spent by fractions of at most 1")
    increments = np.diff([0.0, *spent(alpha, fractions)]) / 2
    walk = _Walk()
    values = []
    for step, reached, increment in zip(steps, looks, increments, strict=True):
        value = math.inf
        if increment > _NOTHING:

            def surplus(bound: float) -> float:
                return walk.above(bound * math.sqrt(reached), step) - float(increment)  # noqa: B023 - used at once

            value = float(optimize.brentq(surplus, 0.0, _FAR, xtol=1e-10))
        values.append(value)
        walk.advance(step, min(value, _FAR) * math.sqrt(reached))
    return tuple(values)


def crossing_probability(values: Sequence[float], information: Sequence[float], drift: float) -> float:
    """The chance that z, normal with mean drift·√information, is above its bound at some look."""
    walk, crossed, before = _Walk(drift), 0.0, 0.0
    for value, reached in zip(values, information, strict=True):
        bound = min(value, _FAR + abs(drift)) * math.sqrt(reached)
        crossed += walk.above(bound, reached - before) if math.isfinite(value) else 0.0
        walk.advance(reached - before, bound)
        before = reached
    return crossed


class _Walk:
    """The score z·√information of experiments that have not stopped yet: nodes and their weights."""

    def __init__(self, drift: float = 0.0) -> None:
        self._places: Floats = np.zeros(1)
        self._weights: Floats = np.ones(1)
        self._drift = drift

    def above(self, bound: float, step: float) -> float:
        """The probability to be above ``bound`` after ``step`` more information."""
        tails = stats.norm.sf((bound - self._places - self._drift * step) / math.sqrt(step))
        return float(self._weights @ tails)

    def advance(self, step: float, bound: float) -> None:
        """Go on with those that are within ±``bound`` after ``step`` more information."""
        deviation = math.sqrt(step)
        wanted = math.ceil(_NODES_PER_DEVIATION * 2 * bound / deviation)
        nodes, weights = _gauss_legendre(min(max(_FEWEST_NODES, wanted), _MOST_NODES))
        places = nodes * bound
        moved = (places[:, None] - self._places[None, :] - self._drift * step) / deviation
        density = np.exp(-0.5 * moved**2) / (deviation * math.sqrt(2 * math.pi)) @ self._weights
        self._places, self._weights = places, weights * bound * density


@lru_cache(maxsize=64)
def _gauss_legendre(count: int) -> tuple[Floats, Floats]:
    """At least ``count`` nodes on [-1, 1] and their weights, in panels of sixteen."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    panels = math.ceil(count / 16)
    middles = (2 * np.arange(panels) + 1) / panels - 1
    return (middles[:, None] + nodes / panels).ravel(), np.tile(weights / panels, panels)


def always_valid_half_width(variance: Value, final_variance: Value, alpha: float) -> Value:
    """Of an interval that holds at every moment at once, however often one looks.

    An asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, equation 9), its
    free parameter set so that it is tightest where the variance is ``final_variance``, which has to be
    fixed before the data: the variance at the planned end.
    """
    tuning = -2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)
    # t·ρ² of the source, t being how often the present information is contained in the final one.
    mixing = tuning * final_variance / variance
    return np.sqrt(variance * 2 * (mixing + 1) / mixing * np.log(np.sqrt(mixing + 1) / alpha))
