"""The readout of an experiment, from nothing but its sufficient statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from experiments.decision import decide
from experiments.design import Design, Look, MetricDesign, Progress, look_of
from experiments.results import ArmReadout, Interval, MetricReadout, Readout, SampleRatio, Status
from experiments.statistics.estimate import Estimate, compare
from experiments.statistics.multiplicity import holm, holm_adjusted
from experiments.statistics.power import (
    corrected_power,
    days_until,
    detectable_effect,
    inflation_of_looks,
)
from experiments.statistics.sample_ratio import sample_ratio
from experiments.statistics.sequential import always_valid_half_width, critical_values
from experiments.statistics.sums import Sums


def readout(
    design: Design,
    units: Mapping[str, int],
    sums: Mapping[str, Mapping[str, Sums]],
    progress: Progress | None = None,
    notes: Sequence[str] = (),
) -> Readout:
    """Judge an experiment.

    ``units`` are those exposed per arm, ``sums`` the sufficient statistics per arm and metric, over whatever
    days; ``notes`` are what the reader of the data has to add to the reasons.

    Raises:
        ValueError: an arm or a metric of the design has no sums, or nobody is in the experiment.
    """
    missing = [
        f"{arm}: {metric.name}"
        for arm in design.allocation
        for metric in design.metrics
        if metric.name not in sums.get(arm, {})
    ]
    if missing:
        raise ValueError(f"no sums of {', '.join(missing)}")
    look = look_of(design, progress)
    p_value, ratio_verdict = sample_ratio(units, design.allocation)
    # Impossible quotients are answered with nan, which becomes None.
    with np.errstate(divide="ignore", invalid="ignore"):
        metrics = _metrics(design, sums)
        counted = {
            metric.name: {arm: sums[arm][metric.name].n for arm in design.allocation}
            for metric in design.metrics
        }
        plan = _required(design, counted, metrics)
        statuses = _statuses(design, look, metrics)
        adjusted = _adjusted(design, metrics)
        read = {
            arm: {
                metric.name: _read(
                    design,
                    look,
                    metric,
                    metrics[arm, metric.name],
                    has_covariate=sums[arm][metric.name].has_covariate,
                    adjusted=adjusted.get((arm, metric.name)),
                    required=plan.get((arm, metric.name)),
                    status=statuses[arm, metric.name],
                )
                for metric in design.metrics
            }
            for arm in design.treatments
        }
    ratio = SampleRatio(p_value=p_value, verdict=ratio_verdict)
    decision = decide(design, look, units, ratio, read)
    total = sum(units.values())
    required = max((each for each in plan.values() if each is not None), default=None)
    left = _days_left(progress, total, counted, plan)
    outlook = [] if decision.verdict != "keep running" else _outlook(progress, total, required, left)
    return Readout(
        units=total,
        control=design.control,
        control_units=units.get(design.control, 0),
        sample_ratio=ratio,
        arms={
            arm: ArmReadout(units=units.get(arm, 0), metrics=read[arm], verdict=decision.arms[arm])
            for arm in design.treatments
        },
        is_planned_look=look.is_planned,
        required_units=required,
        days_left=left,
        verdict=decision.verdict,
        reasons=[*decision.reasons, *outlook, *notes],
    )


_Estimates = dict[tuple[str, str], Estimate]


def _metrics(design: Design, sums: Mapping[str, Mapping[str, Sums]]) -> _Estimates:
    return {
        (arm, metric.name): compare(
            sums[design.control][metric.name].moments(), sums[arm][metric.name].moments()
        )
        for arm in design.treatments
        for metric in design.metrics
    }


def nominal_level(look: Look, alpha: float) -> float:
    """The p value below which a test of size ``alpha`` rejects at this look; below 0 between looks."""
    if not look.is_planned:
        return -1.0
    if len(look.fractions) == 1 and look.is_last and look.share == 1 and look.spending is None:
        return alpha
    return float(2 * stats.norm.sf(critical_values(look.fractions, alpha, look.spending)[-1]))


def _p_values(metrics: _Estimates, names: set[str], sign: Mapping[str, int]) -> dict[tuple[str, str], float]:
    """Two-sided, and 1 for a difference that goes the other way or cannot be told."""
    found = {}
    for key, estimate in metrics.items():
        if key[1] in names:
            p_value = float(estimate.p_value)
            counts = math.isfinite(p_value) and sign[key[1]] * estimate.difference > 0
            found[key] = p_value if counts else 1.0
    return found


def _adjusted(design: Design, metrics: _Estimates) -> dict[tuple[str, str], float]:
    if design.looks:
        return {}
    names = {metric.name for metric in design.of_role("success")}
    p_values = {key: float(estimate.p_value) for key, estimate in metrics.items() if key[1] in names}
    return holm_adjusted({key: value for key, value in p_values.items() if math.isfinite(value)})


def _statuses(design: Design, look: Look, metrics: _Estimates) -> dict[tuple[str, str], Status]:
    """Improvements among success metrics and harm among all, each family held to alpha over its arms."""

    def level(alpha: float) -> float:
        return nominal_level(look, alpha)

    everything = {metric.name for metric in design.metrics}
    success = {metric.name for metric in design.of_role("success")}
    gains = {metric.name: metric.sign for metric in design.metrics}
    losses = {name: -sign for name, sign in gains.items()}
    improved = holm(_p_values(metrics, success, gains), design.alpha, level)
    worse = holm(_p_values(metrics, everything, losses), design.alpha, level)
    found: dict[tuple[str, str], Status] = {}
    for metric in design.metrics:
        for arm in design.treatments:
            key = arm, metric.name
            not_worse = (
                metric.margin is not None
                and float(metrics[key].p_value_not_worse(metric.margin, metric.sign))
                <= level(design.alpha) / 2
            )
            if improved.get(key):
                found[key] = "improved"
            elif not_worse:
                found[key] = "not worse"
            else:
                found[key] = "worse" if worse[key] else "unclear"
    return found


def _required(
    design: Design, counted: Mapping[str, Mapping[str, int]], metrics: _Estimates
) -> dict[tuple[str, str], int | None]:
    """Units of the whole experiment for what is asked of a metric: its variance falls as units come.

    ``counted`` are the units per metric and arm that the estimates are of: fewer than were exposed while
    windows are open.
    """
    power = corrected_power(design.power, design.guardrail_tests)
    weights = sum(design.allocation.values())
    found: dict[tuple[str, str], int | None] = {}
    for metric in design.metrics:
        asked = metric.margin if metric.role == "guardrail" else metric.minimum_effect
        if not asked:
            continue
        alpha = design.alpha / (design.success_tests if metric.role == "success" else 1)
        inflation = inflation_of_looks(design.look_information, alpha, power)
        for arm in design.treatments:
            estimate = metrics[arm, metric.name]
            ratio = detectable_effect(estimate.variance, alpha, power) / (asked * abs(estimate.control))
            pair = counted[metric.name][design.control] + counted[metric.name][arm]
            of_pair = design.allocation[design.control] + design.allocation[arm]
            needed = inflation * pair * ratio**2 * weights / of_pair
            found[arm, metric.name] = math.ceil(needed) if math.isfinite(needed) else None
    return found


def _days_left(
    progress: Progress | None,
    units: int,
    counted: Mapping[str, Mapping[str, int]],
    plan: Mapping[tuple[str, str], int | None],
) -> int | None:
    """Until every metric is known of as many units as it asks for; their windows are part of it."""
    needed = {key: each for key, each in plan.items() if each is not None}
    if progress is None or not needed:
        return None
    left = 0
    for (_, metric), required in needed.items():
        missing = required - sum(counted[metric].values())
        days = days_until(missing, units, progress.day)
        if days is None or (days and not progress.is_exposing and units < required):
            return None
        left = max(left, days)
    return left


def _outlook(progress: Progress | None, units: int, required: int | None, left: int | None) -> list[str]:
    """What is still to be waited for."""
    if progress is None or required is None:
        return []
    days = "" if not left else f"about {left:,} {'day' if left == 1 else 'days'} more"
    if units >= required:
        come = f"the {required:,} units that were asked for have come"
        return [f"{come}: {days} until their windows are over" if days else come]
    come = f"{units:,} of the {required:,} units that are needed have come"
    if days:
        return [f"{come}: {days} at the pace so far, their windows included"]
    return [come if progress.is_exposing else f"{come}, and no more will"]


def _read(
    design: Design,
    look: Look,
    metric: MetricDesign,
    estimate: Estimate,
    *,
    has_covariate: bool,
    adjusted: float | None,
    required: int | None,
    status: Status,
) -> MetricReadout:
    final = estimate.variance * look.share
    always = always_valid_half_width(estimate.variance, final, design.alpha) if design.looks else None
    half: Any = estimate.half_width(nominal_level(look, design.alpha)) if look.is_planned else always
    # The relative interval is as much wider or narrower as the difference's.
    stretch = half / math.sqrt(estimate.variance) if estimate.variance > 0 else math.nan
    alpha = design.alpha / (design.success_tests if metric.role == "success" else 1)
    detectable = detectable_effect(estimate.variance, alpha, design.power) / abs(estimate.control)
    not_worse = None if metric.margin is None else estimate.p_value_not_worse(metric.margin, metric.sign)
    return MetricReadout(
        role=metric.role,
        control=_number(estimate.control),
        treatment=_number(estimate.treatment),
        difference=_number(estimate.difference),
        interval=_interval(estimate.difference, half),
        p_value=_number(estimate.p_value),
        p_value_adjusted=_number(adjusted),
        relative=_number(estimate.relative),
        relative_interval=_interval(estimate.relative, stretch * np.sqrt(estimate.relative_variance)),
        variance_reduction=_number(estimate.variance_reduction) if has_covariate else None,
        p_value_not_worse=_number(not_worse),
        fixed_interval=_interval(estimate.difference, estimate.half_width(design.alpha)),
        always_valid_interval=None if always is None else _interval(estimate.difference, always),
        detectable=_number(detectable),
        required_units=required,
        status=status,
    )


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _interval(middle: Any, half: Any) -> Interval | None:
    low, high = float(middle - half), float(middle + half)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
