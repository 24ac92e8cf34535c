"""Whether a day has as many rows as usual: robust statistics of counts, all series at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

WEEKS: Final = 8
"""So many weeks before the day are looked at: a median of eight survives three that were wrong."""
TOLERATED_SCORE: Final = 4.0
"""In standard deviations, were the noise normal: once in 16,000 counts."""
LEAST_CHANGE: Final = 0.25
"""A share of what was expected: below it nobody is told, however quiet a series is."""
RARELY: Final = 0.6
"""A series that has rows on a smaller share of the same weekdays is none of days: its freshness is judged."""
_DAYS: Final = 7
_MAD_TO_DEVIATION: Final = 1.4826
"""Of normal noise (Rousseeuw & Croux 1993, "Alternatives to the Median Absolute Deviation")."""
_MEDIAN_VARIANCE: Final = np.pi / 2
"""Of a median of n normal values, in variances of one value divided by n."""

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """What the counts of a day are beside what was expected of them, in the order of the series.

    ``change`` is a share: −0.4 is forty percent fewer. ``is_judged``: there were rows on enough of the same
    weekdays.
    """

    expected: Counts
    change: Counts
    score: Counts
    is_judged: npt.NDArray[np.bool_]

    @property
    def is_anomalous(self) -> npt.NDArray[np.bool_]:
        """Which series are not as expected: both further than noise goes, and by enough to matter."""
        far: npt.NDArray[np.bool_] = np.abs(self.score) > TOLERATED_SCORE
        large: npt.NDArray[np.bool_] = np.abs(self.change) >= LEAST_CHANGE
        result: npt.NDArray[np.bool_] = self.is_judged & far & large
        return result


def judge_volumes(counts: npt.ArrayLike) -> Judged:
    """Judge the last day of ``counts``, a row for each of 8 × 7 days before it and one for it, by series.

    Counts are compared as 2·√(n + 3/8), whose noise is about 1 whatever n is, if rows come independently
    (Anscombe 1948). Expected is the median of the same weekday, moved by the median trend of the weeks
    (Theil 1950, Sen 1968); the noise is the MAD of all days around their weekday's, and never below 1.
    So of a series with 250 rows a day or more a change of 40% is found, of a smaller one a larger change.

    Raises:
        ValueError: there are not as many days.
    """
    known = np.asarray(counts, np.float64)
    if known.ndim != 2 or len(known) != WEEKS * _DAYS + 1:
        raise ValueError(f"{WEEKS * _DAYS} days before the day are needed, and it")
    stable = 2 * np.sqrt(known + 3 / 8)
    past = stable[:-1].reshape(WEEKS, _DAYS, -1)
    of_weekday = np.median(past, axis=0)
    level, next_level = _trend(np.median(past - of_weekday, axis=1))
    forecast = of_weekday[0] + next_level
    noise = np.abs(past - of_weekday - level[:, None, :]).reshape(WEEKS * _DAYS, -1)
    has_rows = (known[:-1] > 0).reshape(WEEKS, _DAYS, -1)
    # A weekly feed has nothing on six days, and no noise there.
    noise[~np.broadcast_to(has_rows.any(axis=0), has_rows.shape).reshape(noise.shape)] = np.nan
    with np.errstate(all="ignore"):
        deviation = _MAD_TO_DEVIATION * np.nan_to_num(_nanmedian(noise))
    deviation = np.maximum(deviation, 1.0) * np.sqrt(1 + _MEDIAN_VARIANCE / WEEKS)
    expected = np.maximum((np.maximum(forecast, 0) / 2) ** 2 - 3 / 8, 0)
    change = (known[-1] - expected) / np.maximum(expected, 1)
    return Judged(
        expected=expected,
        change=change,
        score=(stable[-1] - forecast) / deviation,
        is_judged=has_rows[:, 0].mean(axis=0) >= RARELY,
    )


def _trend(weekly: Counts) -> tuple[Counts, Counts]:
    """The level of each week on a line through the medians of the slopes, and that of the week to come."""
    week = np.arange(WEEKS, dtype=np.float64)
    first, second = np.triu_indices(WEEKS, 1)
    slope = np.median((weekly[second] - weekly[first]) / (week[second] - week[first])[:, None], axis=0)
    start = np.median(weekly - slope * week[:, None], axis=0)
    level: Counts = start + slope * week[:, None]
    return level, start + slope * WEEKS


def _nanmedian(values: Counts) -> Counts:
    """The median of each series; nan where it has no value at all."""
    result = np.full(values.shape[1], np.nan)
    some = ~np.isnan(values).all(axis=0)
    result[some] = np.nanmedian(values[:, some], axis=0)
    return result


@dataclass(frozen=True)
class VolumeAnomaly:
    """A series whose day has another number of rows than expected."""

    series: str
    rows: int
    expected: int
    change: float

    def describe(self) -> str:
        """One sentence."""
        return (
            f"{self.series} has {self.rows:,} rows, {self.change:+.0%} beside the {self.expected:,} that the "
            f"same weekday of the last {WEEKS} weeks lets expect"
        )


def anomalies(names: Sequence[str], counts: npt.ArrayLike) -> list[VolumeAnomaly]:
    """The anomalous series of the last day of ``counts`` (days × series), the furthest off first."""
    known, judged = np.asarray(counts, np.float64), judge_volumes(counts)
    found = np.flatnonzero(judged.is_anomalous)
    return [
        VolumeAnomaly(
            names[place],
            int(known[-1, place]),
            round(float(judged.expected[place])),
            float(judged.change[place]),
        )
        for place in found[np.argsort(-np.abs(judged.score[found]))]
    ]
