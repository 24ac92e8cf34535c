# /// script
# requires-python = "==3.11.*"
# dependencies = ["gbstats==0.8.0", "spotify-confidence==4.1.0", "statsmodels==0.15.0"]
# ///
"""What the peers compute of the same units: `uv run tests/experiments/peers/record.py > recorded.json`.

In an environment of its own, because spotify-confidence holds pandas below 3. The tests compare with what was
recorded, so that they need neither the environment nor a network; run it again when a peer has a new version
or there are new units.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from gbstats.frequentist import tests as gb
from gbstats.models.statistics import RatioStatistic, RegressionAdjustedStatistic, SampleMeanStatistic
from spotify_confidence import StudentsTTest, ZTestLinreg
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from units import HISTORY, PAGES, SPEND, UNITS, VISITS

ALPHA = 0.05


def mean(column: np.ndarray) -> SampleMeanStatistic:
    return SampleMeanStatistic(n=len(column), sum=column.sum(), sum_squares=(column**2).sum())


def gbstats_of(arm: np.ndarray, kind: str) -> Any:
    if kind == "mean":
        return mean(arm[SPEND])
    if kind == "cuped":
        return RegressionAdjustedStatistic(
            n=arm.shape[1], post_statistic=mean(arm[SPEND]), pre_statistic=mean(arm[HISTORY]),
            post_pre_sum_of_products=(arm[SPEND] * arm[HISTORY]).sum(), theta=0,
        )  # fmt: skip
    return RatioStatistic(
        n=arm.shape[1], m_statistic=mean(arm[PAGES]), d_statistic=mean(arm[VISITS]),
        m_d_sum_of_products=(arm[PAGES] * arm[VISITS]).sum(),
    )  # fmt: skip


def of_gbstats(control: np.ndarray, offer: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("mean", "cuped", "ratio"):

        def arms(kind: str = kind) -> tuple[Any, Any]:
            return gbstats_of(control, kind), gbstats_of(offer, kind)

        config = gb.FrequentistConfig(difference_type="absolute", alpha=ALPHA)
        test = gb.TwoSidedTTest(*arms(), config)
        greater = gb.OneSidedTreatmentGreaterTTest(*arms(), config)
        planned = 2 * (control.shape[1] + offer.shape[1])
        always = gb.SequentialTwoSidedTTest(
            *arms(),
            gb.SequentialConfig(difference_type="absolute", alpha=ALPHA, sequential_tuning_parameter=planned),
        )
        found[kind] = {
            "difference": test.point_estimate,
            "error": math.sqrt(test.variance),
            "degrees": test.dof,
            "p_value": test.p_value,
            "interval": test.confidence_interval,
            "p_value_greater": greater.p_value,
            "always_valid_interval_at_half": always.confidence_interval,
        }
        if kind != "cuped":
            relative = gb.TwoSidedTTest(
                *arms(), gb.FrequentistConfig(difference_type="relative", alpha=ALPHA)
            )
            found[kind] |= {
                "relative": relative.point_estimate, "relative_error": math.sqrt(relative.variance),
            }  # fmt: skip
    return found


def of_spotify(control: np.ndarray, offer: np.ndarray) -> dict[str, Any]:
    frame = pd.DataFrame(
        {
            "arm": ["control", "offer"],
            "n": [control.shape[1], offer.shape[1]],
            "sum": [arm[SPEND].sum() for arm in (control, offer)],
            "squares": [(arm[SPEND] ** 2).sum() for arm in (control, offer)],
            "before": [arm[HISTORY].sum() for arm in (control, offer)],
            "before_squares": [(arm[HISTORY] ** 2).sum() for arm in (control, offer)],
            "crossed": [(arm[SPEND] * arm[HISTORY]).sum() for arm in (control, offer)],
        }
    )
    test = StudentsTTest(frame, "sum", "squares", "n", "arm", interval_size=1 - ALPHA)
    plain = test.difference("control", "offer").iloc[0]
    adjusted = ZTestLinreg(
        frame, "sum", "squares", "n", categorical_group_columns="arm", feature_column="before",
        feature_sum_squares_column="before_squares", feature_cross_sum_column="crossed",
        interval_size=1 - ALPHA,
    ).difference("control", "offer").iloc[0]  # fmt: skip
    expected = {"control": 0.3, "offer": 0.7}
    return {
        "mean": {
            "difference": plain["difference"],
            "p_value": plain["p-value"],
            "interval": [plain["ci_lower"], plain["ci_upper"]],
        },
        "cuped": {"difference": adjusted["difference"]},
        "sample_ratio": test.sample_ratio_test(expected_proportions=expected)[0],
    }


def of_statsmodels(control: np.ndarray, offer: np.ndarray) -> dict[str, Any]:
    means = CompareMeans(DescrStatsW(offer[SPEND]), DescrStatsW(control[SPEND]))
    _, p_value, degrees = means.ttest_ind(usevar="unequal")
    both = np.concatenate([control, offer], axis=1)
    slope = sm.OLS(both[SPEND], sm.add_constant(both[HISTORY])).fit().params[1]
    # A ratio's linear form and CUPED's remainder are values of units: Welch's test of them.
    adjusted = [arm[SPEND] - slope * arm[HISTORY] for arm in (control, offer)]
    cuped = CompareMeans(DescrStatsW(adjusted[1]), DescrStatsW(adjusted[0]))
    linear = [
        (arm[PAGES] - arm[PAGES].sum() / arm[VISITS].sum() * arm[VISITS]) / arm[VISITS].mean()
        + arm[PAGES].sum() / arm[VISITS].sum()
        for arm in (control, offer)
    ]
    ratio = CompareMeans(DescrStatsW(linear[1]), DescrStatsW(linear[0]))
    return {
        "mean": {
            "difference": means.d1.mean - means.d2.mean,
            "p_value": p_value,
            "degrees": degrees,
            "interval": list(means.tconfint_diff(ALPHA, usevar="unequal")),
        },
        "cuped": {
            "theta": slope,
            "p_value": cuped.ttest_ind(usevar="unequal")[1],
            "interval": list(cuped.tconfint_diff(ALPHA, usevar="unequal")),
        },
        "ratio": {
            "p_value": ratio.ttest_ind(usevar="unequal")[1],
            "interval": list(ratio.tconfint_diff(ALPHA, usevar="unequal")),
        },
    }


def shared() -> dict[str, Any]:
    """What is not of any units: statsmodels."""
    p_values = [0.011, 0.02, 0.04, 0.3, 0.0004]
    power = NormalIndPower()
    return {
        "holm": {"p_values": p_values, "adjusted": list(multipletests(p_values, method="holm")[1])},
        # Of one arm, with a standard deviation of 1; one-sided, because the other tail is no success.
        "units_of_control": [
            {
                "effect": effect, "alpha": alpha, "power": wanted, "offer_per_control": ratio,
                "units": power.solve_power(
                    effect, alpha=alpha / 2, power=wanted, ratio=ratio, alternative="larger"
                ),
            }
            for effect, alpha, wanted, ratio in (
                (0.1, 0.05, 0.8, 1.0), (0.02, 0.05, 0.9, 9.0), (0.25, 0.0125, 0.95, 0.5),
            )
        ],
    }  # fmt: skip


def recorded() -> dict[str, Any]:
    """By peer and group of units."""
    arms = {
        name: tuple(np.array(group[arm]) for arm in ("control", "offer")) for name, group in UNITS.items()
    }
    peers = {"gbstats": of_gbstats, "spotify-confidence": of_spotify, "statsmodels": of_statsmodels}
    return {
        "versions": {peer: version(peer) for peer in peers},
        **{peer: {name: found(*pair) for name, pair in arms.items()} for peer, found in peers.items()},
        "statsmodels of no units": shared(),
    }


print(json.dumps(recorded(), indent=1, default=float))
