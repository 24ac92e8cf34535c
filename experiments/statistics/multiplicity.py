"""Many metrics and arms at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")


def holm(p_values: Mapping[Key, float], alpha: float, level: Callable[[float], float]) -> dict[Key, bool]:
    """Which hypotheses are rejected, erring in any of them with probability at most ``alpha`` (Holm 1979).

    ``level`` says which nominal p value a share of alpha is worth at the present look; the steps down hold
    for such bounds too, because a larger share never has a stricter bound (Maurer & Bretz 2013).
    """
    rejected = dict.fromkeys(p_values, False)
    left = len(p_values)
    for key in sorted(p_values, key=lambda each: p_values[each]):
        if not p_values[key] <= level(alpha / left):
            break
        rejected[key] = True
        left -= 1
    return rejected


def holm_adjusted(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Holm's adjusted p values, to be held against alpha itself where there is a single look."""
    adjusted, largest = {}, 0.0
    for place, key in enumerate(sorted(p_values, key=lambda each: p_values[each])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[key]))
        adjusted[key] = largest
    return adjusted
