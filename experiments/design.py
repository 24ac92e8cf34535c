"""What a readout has to know of an experiment beside its sums, wherever that is declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from experiments.statistics.power import look_fractions

Role = Literal["success", "guardrail", "deterioration"]
Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class MetricDesign:
    """A metric and what is asked of it."""

    name: str
    role: Role
    worse: Direction = "lower"
    """The direction that does harm."""
    margin: float | None = None
    """Share of control by which a guardrail may be worse; none: it must not be seen to be worse."""
    minimum_effect: float | None = None
    """Share of control that would be worth having."""

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.worse == "lower" else -1


@dataclass(frozen=True)
class Design:
    """Arms, metrics, and the errors that are accepted."""

    control: str
    allocation: Mapping[str, float]
    """The weight of every arm, control included."""
    metrics: tuple[MetricDesign, ...]
    looks: tuple[int, ...] = ()
    """Complete days after the start on which it may be decided; none: once, when all is there."""
    alpha: float = 0.05
    power: float = 0.8
    information: tuple[float, ...] = ()
    """At each look the share of the last one's units whose outcomes are known; the days' where left out."""

    @property
    def look_information(self) -> tuple[float, ...]:
        """Of every planned look, and of the only one where none is planned."""
        return self.information or look_fractions(self.looks or (1,))

    @property
    def treatments(self) -> tuple[str, ...]:
        """The arms that are compared with control, in the order of their declaration."""
        return tuple(arm for arm in self.allocation if arm != self.control)

    def of_role(self, role: Role) -> tuple[MetricDesign, ...]:
        """The metrics with a role."""
        return tuple(metric for metric in self.metrics if metric.role == role)

    @property
    def success_tests(self) -> int:
        """How many chances of an improvement there are: success metrics × arms."""
        return max(1, len(self.of_role("success")) * len(self.treatments))

    @property
    def guardrail_tests(self) -> int:
        """How many guardrails have to be shown not to be worse."""
        return sum(metric.margin is not None for metric in self.of_role("guardrail"))


@dataclass(frozen=True)
class Progress:
    """How far a running experiment is."""

    day: int
    """Complete days since its start."""
    information: tuple[float, ...] = ()
    """Share of the planned units at each look up to the day; as planned where it is left out."""
    is_exposing: bool = True
    """Whether units still come; the windows of those that came may still be open."""


@dataclass(frozen=True)
class Look:
    """Whether it may be decided now, and what has been looked at so far."""

    fractions: tuple[float, ...]
    """Of the information at each look so far."""
    spending: tuple[float, ...] | None
    """Of alpha, where those are others."""
    is_planned: bool
    is_last: bool
    share: float
    """Of the planned duration that is over."""


def look_of(design: Design, progress: Progress | None) -> Look:
    """Where an experiment stands among its planned looks; without any, this is the only one.

    Raises:
        ValueError: looks are planned, and nobody says which this is, or the information is of others.
    """
    if not design.looks:
        return Look((1.0,), None, True, True, 1.0)
    if progress is None:
        raise ValueError("looks are planned, so a readout has to know on which day it is made")
    last = design.looks[-1]
    done = tuple(look for look in design.looks if look <= progress.day)
    fractions = design.look_information[: len(done)]
    is_planned = bool(done) and (done[-1] == progress.day or progress.day > last)
    share = min(1.0, progress.day / last)
    if not progress.information:
        return Look(fractions, None, is_planned, progress.day >= last, share)
    if len(progress.information) != len(done):
        raise ValueError(f"{len(done)} looks so far, but information of {len(progress.information)}")
    return Look(progress.information, fractions, is_planned, progress.day >= last, share)
