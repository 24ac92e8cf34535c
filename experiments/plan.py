"""What an experiment needs before it starts: units, days, and the bounds of its looks."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict
from scipy import stats

from experiments.declaration import Experiment, Metric, MetricUse
from experiments.statistics.power import corrected_power, inflation_of_looks, required_units
from experiments.statistics.sequential import critical_values, spent


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlannedLook(_Part):
    """A day on which it may be decided, for one success test alone."""

    day: int
    spent: float
    """Of alpha, by this look."""
    z: float | None
    """That a difference has to exceed; None where nothing is spent yet."""
    p_value: float
    """The same, as a two-sided p value."""
    information: float
    """Share of the last look's accounts whose windows are over by then."""


class PlannedMetric(_Part):
    """The units of the whole experiment that a metric asks for; None without a baseline or an effect."""

    metric: str
    role: str
    effect: float | None
    """Share of control: the minimum effect, or a guardrail's margin."""
    units: int | None


class ExperimentPlan(_Part):
    """What an experiment needs."""

    id: str
    version: int
    success_tests: int
    power_per_test: float
    """What each test needs for all of them together to reach the declared power."""
    looks: list[PlannedLook]
    metrics: list[PlannedMetric]
    units: int | None
    days: int | None
    """Until so many accounts have come, at the declared pace."""
    is_long_enough: bool | None
    """Whether they come before the last day of exposures."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self.model_dump(mode="json")


def plan(experiment: Experiment, metrics: dict[str, Metric]) -> ExperimentPlan:
    """Plan a declared experiment."""
    design = experiment.design(metrics)
    fractions = design.look_information
    alpha = design.alpha / design.success_tests
    power = corrected_power(design.power, design.guardrail_tests)
    values = critical_values(fractions, alpha)
    looks = [
        PlannedLook(
            day=day,
            spent=part,
            z=value if math.isfinite(value) else None,
            p_value=float(2 * stats.norm.sf(value)),
            information=part_of_all,
        )
        for day, part_of_all, part, value in zip(
            design.looks, fractions, spent(alpha, fractions), values, strict=True
        )
    ]

    def units_of(use: MetricUse) -> int | None:
        asked = use.minimum_effect or use.margin
        if asked is None or use.baseline is None:
            return None
        level = alpha if use.role == "success" else design.alpha
        control = design.allocation[design.control]
        needed = []
        for arm in design.treatments:
            shares = (control, design.allocation[arm])
            inflation = inflation_of_looks(fractions, level, power)
            effect = asked * abs(use.baseline.mean)
            pair = required_units(use.baseline.variance, effect, shares, level, power, inflation)
            needed.append(math.ceil(pair * sum(design.allocation.values()) / sum(shares)))
        return max(needed)

    planned = [
        PlannedMetric(
            metric=use.metric, role=use.role, effect=use.minimum_effect or use.margin, units=units_of(use)
        )
        for use in experiment.metrics
    ]
    units = max((each.units for each in planned if each.units is not None), default=None)
    days = (
        math.ceil(units / experiment.accounts_per_day)
        if units is not None and experiment.accounts_per_day is not None
        else None
    )
    duration = (experiment.end - experiment.start).days + 1
    return ExperimentPlan(
        id=experiment.id,
        version=experiment.version,
        success_tests=design.success_tests,
        power_per_test=power,
        looks=looks,
        metrics=planned,
        units=units,
        days=days,
        is_long_enough=None if days is None else days <= duration,
    )
