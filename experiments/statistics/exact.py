"""Sums of floating-point numbers without rounding, so that no order and no split of the rows changes them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LARGEST: Final = 1e100
"""Beyond it, products of two numbers leave what a double can hold exactly in two halves."""
_MANTISSA_BITS: Final = 53
_LOW_BITS: Final = 27
_EXPONENT_OFFSET: Final = 1_100
_ROWS_AT_ONCE: Final = 1 << 20
"""A bin's sum of 27-bit numbers stays below 2**53 for 2**26 of them."""


class ExactSum:
    """A running sum of doubles, held as whole numbers by exponent (a superaccumulator, Kulisch 1986)."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def add(self, values: Floats) -> None:
        """Add finite numbers."""
        for start in range(0, len(values), _ROWS_AT_ONCE):
            self._add(values[start : start + _ROWS_AT_ONCE])

    def add_products(self, left: Floats, right: Floats) -> None:
        """Add the products of the elements without rounding (Dekker 1971); both below ``LARGEST``."""
        for one in _halves(left):
            for other in _halves(right):
                self.add(one * other)

    def _add(self, values: Floats) -> None:
        values = values[values != 0]
        if not len(values):
            return
        mantissas, exponents = np.frexp(values)
        whole = np.ldexp(mantissas, _MANTISSA_BITS).astype(np.int64)
        places = exponents + _EXPONENT_OFFSET
        low, high = whole & ((1 << _LOW_BITS) - 1), whole >> _LOW_BITS
        for part, shift in ((low, 0), (high, _LOW_BITS)):
            for place, total in _binned(places, part):
                self._bins[place + shift] += total

    def total(self) -> Fraction:
        """The exact sum."""
        lowest = min(self._bins, default=0)
        scaled = sum(total << (place - lowest) for place, total in self._bins.items())
        power = lowest - _EXPONENT_OFFSET - _MANTISSA_BITS
        return Fraction(scaled) * (Fraction(2) ** power)


def _binned(places: npt.NDArray[Any], parts: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    sums = np.bincount(places, weights=parts)
    return [(int(place), int(sums[place])) for place in np.nonzero(sums)[0]]


def _halves(values: Floats) -> list[Floats]:
    """Numbers of at most 26 bits that add up to ``values`` (Veltkamp 1968); one where that is enough."""
    scaled = values * ((1 << _LOW_BITS) + 1.0)
    high = scaled - (scaled - values)
    low = values - high
    return [high, low] if low.any() else [high]
