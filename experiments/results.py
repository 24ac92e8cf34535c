"""What a readout says; serialises to the JSON that other programs are given."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from experiments.design import Role
from experiments.statistics.sample_ratio import RatioVerdict

Interval = tuple[float, float]
Status = Literal["improved", "worse", "not worse", "unclear"]
Verdict = Literal["ship", "do not ship", "keep running", "stop", "blocked"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class SampleRatio(_Part):
    """Whether the arms have the units they were meant to have."""

    p_value: float
    verdict: RatioVerdict


class MetricReadout(_Part):
    """One metric of one arm against control; None where the data cannot say."""

    role: Role
    control: float | None
    """As observed, per unit, or the ratio of the sums."""
    treatment: float | None
    difference: float | None
    """The covariate's part taken out, where there is one."""
    interval: Interval | None
    """Of ``difference``; wider at an early look, always valid between looks."""
    p_value: float | None
    """Two-sided, of this test alone."""
    p_value_adjusted: float | None
    """Holm's, over the success metrics and arms; for those, and where there is a single look."""
    relative: float | None
    relative_interval: Interval | None
    variance_reduction: float | None
    """Share of the difference's variance that the covariate takes away; None without one."""
    p_value_not_worse: float | None
    """One-sided, of being worse by the guardrail's margin or more."""
    fixed_interval: Interval | None
    """What ``interval`` would be if this were the only look: not to be decided by where there are others."""
    always_valid_interval: Interval | None
    """Where looks are planned: holds however often one looks."""
    detectable: float | None
    """The smallest relative effect that so many units would have shown with the planned power."""
    required_units: int | None
    """Of the whole experiment, for the minimum effect or the margin."""
    status: Status


class ArmReadout(_Part):
    """An arm against control."""

    units: int
    metrics: dict[str, MetricReadout]
    verdict: Verdict


class Readout(_Part):
    """What an experiment has shown, and what follows from it."""

    units: int
    control: str
    control_units: int
    sample_ratio: SampleRatio
    arms: dict[str, ArmReadout]
    is_planned_look: bool
    required_units: int | None
    """That every minimum effect and margin asks for; None where nothing is asked, or the data cannot say."""
    days_left: int | None
    """Until they have come, at the pace so far; None where that is not known, or no more units come."""
    verdict: Verdict
    reasons: list[str]

    def to_dict(self) -> dict[str, Any]:
        """What other programs are given: the numbers that the verdict stands on."""
        metric = {
            "control", "treatment", "difference", "interval", "p_value", "relative", "variance_reduction",
        }  # fmt: skip
        return self.model_dump(
            mode="json",
            include={
                "units": True,
                "sample_ratio": True,
                "arms": {"__all__": {"units": True, "metrics": {"__all__": metric}}},
                "verdict": True,
                "reasons": True,
            },
        )
