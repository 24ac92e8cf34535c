"""Whether as many units came into each arm as were meant to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from scipy import stats

BLOCKS_BELOW: Final = 0.001
WARNS_BELOW: Final = 0.01

RatioVerdict = Literal["ok", "warn", "block"]


def sample_ratio(units: Mapping[str, int], allocation: Mapping[str, float]) -> tuple[float, RatioVerdict]:
    """The p value of Pearson's χ², and what it means, as in Fabijan et al. 2019.

    ``allocation`` gives each arm's weight; an arm of ``units`` that it does not name was not meant to be.

    Raises:
        ValueError: nobody is in any arm, or a weight is not above 0.
    """
    total, weights = sum(units.values()), sum(allocation.values())
    if not total or min(allocation.values()) <= 0 or set(units) - set(allocation):
        raise ValueError("an experiment has units, and every arm a weight above 0")
    observed = [units.get(arm, 0) for arm in allocation]
    expected = [total * weight / weights for weight in allocation.values()]
    p_value = float(stats.chisquare(observed, expected).pvalue)
    if p_value < BLOCKS_BELOW:
        return p_value, "block"
    return p_value, "warn" if p_value < WARNS_BELOW else "ok"
