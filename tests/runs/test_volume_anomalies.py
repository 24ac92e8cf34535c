"""Volumes beside the same weekday of the weeks before: planted faults are found, clean days left alone."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.company import CompanySpec, generate
from runs.volume_anomalies import WEEKS, VolumeAnomaly, anomalies, judge_volumes

LAST_DAY = date(2026, 3, 31)
DAYS = 7 * WEEKS + 1
ENOUGH_ROWS = 250
"""A series of so many rows a day has little enough noise for a change of 40% to be seen."""


def weeks(*of_week: int, growth: float = 0.0, level: float = 1.0) -> np.ndarray:
    """One series: the same week again and again, and the first day of the next."""
    counts = [level * of_week[number % 7] * (1 + growth) ** (number // 7) for number in range(7 * WEEKS + 1)]
    return np.round(np.array(counts))[:, None]


def with_last(counts: np.ndarray, rows: float) -> np.ndarray:
    changed = counts.copy()
    changed[-1] = rows
    return changed


WEEKLY = (1000, 700, 720, 710, 730, 1500, 1800)


def test_a_day_is_compared_with_its_own_weekday() -> None:
    assert anomalies(["payments"], weeks(*WEEKLY)) == []
    # A Saturday's rows on a Monday.
    [found] = anomalies(["payments"], with_last(weeks(*WEEKLY), 1800))
    assert found == VolumeAnomaly("payments", 1800, 1000, pytest.approx(0.8, abs=0.001))
    assert found.describe() == (
        "payments has 1,800 rows, +80% beside the 1,000 that the same weekday of the last 8 weeks lets expect"
    )


@pytest.mark.parametrize("rows", [600, 1400, 0])
def test_forty_percent_fewer_or_more_is_an_anomaly(rows: int) -> None:
    assert [each.rows for each in anomalies(["payments"], with_last(weeks(*WEEKLY), rows))] == [rows]


def test_a_company_that_grows_is_as_usual() -> None:
    assert anomalies(["payments"], weeks(*WEEKLY, growth=0.06)) == []


def test_three_bad_weeks_do_not_become_what_is_expected() -> None:
    counts = weeks(*WEEKLY)
    counts[[0, 21, 42]] = 0

    assert anomalies(["payments"], counts) == []
    assert len(anomalies(["payments"], with_last(counts, 0))) == 1


def test_a_feed_that_does_not_come_on_such_days_is_not_judged() -> None:
    fortnightly = np.zeros((DAYS, 1))
    fortnightly[::14] = 4000
    monthly = np.zeros((DAYS, 1))
    monthly[[3, 33]] = 90

    assert anomalies(["scores", "plans"], np.hstack([fortnightly, monthly])) == []


def test_a_weekly_feed_that_is_missing_on_its_day_is_found() -> None:
    weekly = np.zeros((DAYS, 1))
    weekly[::7] = [[n] for n in (400, 410, 395, 405, 390, 420, 400, 398, 0)]

    assert len(anomalies(["catalogue"], weekly)) == 1


def test_few_rows_a_day_have_noise_and_nobody_is_told_of_it() -> None:
    assert anomalies(["deletion_requests"], with_last(weeks(4, 3, 5, 4, 4, 2, 6), 9)) == []


def test_the_furthest_off_comes_first() -> None:
    counts = np.hstack([weeks(*WEEKLY), weeks(*WEEKLY, level=100), weeks(*WEEKLY)])
    counts[-1] = [500, 10_000, 1000]

    assert [each.series for each in anomalies(["a", "b", "c"], counts)] == ["b", "a"]


def test_too_few_days_are_refused() -> None:
    with pytest.raises(ValueError, match="56 days before the day"):
        judge_volumes(np.ones((30, 2)))


@given(st.integers(0, 2**31), st.integers(0, 9), st.integers(1, 5))
def test_series_do_not_know_of_each_other(seed: int, magnitude: int, copies: int) -> None:
    one = np.random.default_rng(seed).integers(0, 10**magnitude, (DAYS, 1), endpoint=True)
    many = judge_volumes(np.hstack([one] * copies + [np.ones_like(one)]))
    alone = judge_volumes(one)

    assert np.array_equal(many.is_anomalous[:-1], np.repeat(alone.is_anomalous, copies))
    assert np.isfinite(alone.score).all()
    assert np.isfinite(alone.change).all()


@given(st.integers(300, 10**7), st.floats(0.0, 0.6), st.integers(0, 2**31))
def test_a_drop_of_forty_percent_is_found_in_every_series_that_is_large_enough(
    level: int, share: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).poisson(level, (DAYS, 1)).astype(float)

    assert judge_volumes(with_last(noise, level * share)).is_anomalous.all()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Rows of every feed on every day of nine months of a generated company (days × feeds)."""
    folder = tmp_path_factory.mktemp("volumes")
    spec = CompanySpec(accounts=4_000, days=270, seed=11, end_date=LAST_DAY)
    generate(spec, folder)
    rows = json.loads(Path(folder / "manifest.json").read_text())["rows_by_day"]
    days = [str(spec.first_day + timedelta(days=number)) for number in range(spec.days)]
    return np.array([[rows[feed].get(day, 0) for feed in sorted(rows)] for day in days], float)


def test_on_clean_days_of_the_company_at_most_one_day_in_two_hundred_is_told_of(
    company: np.ndarray,
) -> None:
    told = [
        judge_volumes(company[day - DAYS + 1 : day + 1]).is_anomalous.any()
        for day in range(DAYS - 1, len(company))
    ]

    assert len(told) > 200
    assert sum(told) <= len(told) / 200


@pytest.mark.parametrize("planted", [0.6, 1.4])
def test_planted_drops_and_spikes_of_the_companys_feeds_are_found(
    company: np.ndarray, planted: float
) -> None:
    found = missed = missed_far = 0
    # A company's first month is unlike those after it.
    for day in range(DAYS - 1 + 28, len(company)):
        counts = company[day - DAYS + 1 : day + 1].copy()
        counts[-1] = np.round(counts[-1] * planted)
        judged = judge_volumes(counts)
        # Scores come every other week: the freshness of feeds is what they are judged by.
        large = judged.is_judged & (judged.expected >= ENOUGH_ROWS)
        found += int((judged.is_anomalous & large).sum())
        lost = large & ~judged.is_anomalous
        missed += int(lost.sum())
        missed_far += int((lost & (np.abs(judged.change) >= 1 / 3)).sum())

    assert found > 200
    # A spike of 40% on a day that had a tenth fewer than expected is one of a quarter.
    assert missed_far == 0
    assert missed <= 0.05 * (found + missed)
