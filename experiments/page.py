"""A readout as a page of HTML that needs nothing else: no script, no network, plots as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from experiments.design import Design, MetricDesign
from experiments.results import MetricReadout, Readout
from segue.pages.environment import environment
from segue.pages.plots import NOTHING, Plot, intervals, number, over_days, percent

TEMPLATE: Final = "page.html.jinja"
ARM_STYLES: Final = 6
"""Colours and dashes of arms; more arms use them again."""


@dataclass(frozen=True)
class DatedReadout:
    """What an experiment had shown by the end of a day; no day for one that was read from a file."""

    day: date | None
    readout: Readout


@dataclass(frozen=True)
class _ArmUnits:
    arm: str
    units: int
    observed: float
    meant: float


@dataclass(frozen=True)
class _MetricPlot:
    metric: str
    arm: str
    plot: Plot
    has_always_valid: bool


def page(
    title: str, design: Design, readouts: Sequence[DatedReadout], facts: Mapping[str, str] | None = None
) -> str:
    """The page of an experiment: verdict and reasons, units, metrics, and how they came about over the days.

    ``readouts`` may come in any order; the newest is what is judged. ``facts`` are shown below the title.
    The same readouts give the same page, byte for byte.

    Raises:
        ValueError: there is no readout.
    """
    if not readouts:
        raise ValueError("a page needs a readout")
    ordered = sorted(readouts, key=lambda each: each.day or date.min)
    newest = ordered[-1]
    templates = environment(Path(__file__).parent)
    templates.filters |= {"interval": _interval, "p": _p_value}
    asked = _asked(newest.readout)
    # Of a version that asked for something else there is nothing to compare.
    dated = [
        (each.day, each.readout) for each in ordered if each.day is not None and _asked(each.readout) == asked
    ]
    return templates.get_template(TEMPLATE).render(
        title=title,
        facts=dict(facts or {}),
        day=newest.day,
        readout=newest.readout,
        units=_units(design, newest.readout),
        columns=_columns(newest.readout),
        overview=_overview(design, newest.readout),
        exposures=_exposures(design, dated) if len(dated) > 1 else None,
        metric_plots=list(_metric_plots(design, dated)) if len(dated) > 1 else [],
        days=dated,
        styles={arm: f"series-{place % ARM_STYLES}" for place, arm in enumerate(design.allocation)},
    )


def _asked(readout: Readout) -> set[tuple[str, str]]:
    return {(arm, metric) for arm, of_arm in readout.arms.items() for metric in of_arm.metrics}


def _units_of(arm: str, readout: Readout) -> int:
    if arm == readout.control:
        return readout.control_units
    return readout.arms[arm].units


def _units(design: Design, readout: Readout) -> list[_ArmUnits]:
    weights = sum(design.allocation.values())
    return [
        _ArmUnits(
            arm, _units_of(arm, readout), _units_of(arm, readout) / max(1, readout.units), weight / weights
        )
        for arm, weight in design.allocation.items()
    ]


def _columns(readout: Readout) -> list[tuple[str, Callable[[MetricReadout], str]]]:
    """Of the table of metrics; those that say nothing of any metric are left out."""
    columns: list[tuple[str, Callable[[MetricReadout], str]]] = [
        ("control", lambda metric: number(metric.control)),
        ("treatment", lambda metric: number(metric.treatment)),
        ("difference", lambda metric: number(metric.difference)),
        ("interval", lambda metric: _interval(metric.interval)),
        ("relative", lambda metric: _share(metric.relative, "+.2%")),
        ("p", lambda metric: _p_value(metric.p_value)),
        ("p, corrected", lambda metric: _p_value(metric.p_value_adjusted)),
        ("p, not worse", lambda metric: _p_value(metric.p_value_not_worse)),
        ("variance saved", lambda metric: _share(metric.variance_reduction, ".1%")),
        ("units needed", lambda metric: _count(metric.required_units)),
    ]
    metrics = [metric for of_arm in readout.arms.values() for metric in of_arm.metrics.values()]
    return [each for each in columns if any(each[1](metric) != NOTHING for metric in metrics)]


def _overview(design: Design, readout: Readout) -> Plot:
    rows = [
        (f"{name}, {arm}", metric.status.replace(" ", "-"), metric.relative, metric.relative_interval)
        for arm, of_arm in readout.arms.items()
        for name, metric in of_arm.metrics.items()
    ]
    told = [(label, kind, lift, ends) for label, kind, lift, ends in rows if lift is not None and ends]
    return intervals(
        f"Relative difference from {design.control}, with its interval",
        "; ".join(
            f"{label}: {percent(lift)}, {percent(ends[0])} to {percent(ends[1])}"
            for label, _, lift, ends in told
        ),
        told,
    )


def _exposures(design: Design, dated: Sequence[tuple[date, Readout]]) -> Plot:
    """Units by day and arm; every arm is a series of its own kind."""
    lines = {
        f"series-{place % ARM_STYLES} of-{place}": [
            (day, float(_units_of(arm, found))) for day, found in dated
        ]
        for place, arm in enumerate(design.allocation)
    }
    last = dated[-1][1]
    counts = ", ".join(f"{arm} {_units_of(arm, last):,}" for arm in design.allocation)
    return over_days("Units exposed so far, by arm", f"On {dated[-1][0]}: {counts}.", lines, {})


def _metric_plots(design: Design, dated: Sequence[tuple[date, Readout]]) -> Iterator[_MetricPlot]:
    for metric in design.metrics:
        for arm in design.treatments:
            found = [(day, readout.arms[arm].metrics[metric.name]) for day, readout in dated]
            always = [(day, each.always_valid_interval) for day, each in found if each.always_valid_interval]
            fixed = [(day, each.fixed_interval) for day, each in found if each.fixed_interval]
            differences = [(day, each.difference) for day, each in found if each.difference is not None]
            last = found[-1][1]
            yield _MetricPlot(
                metric.name,
                arm,
                over_days(
                    f"{metric.name}: {arm} against {design.control}",
                    f"On {dated[-1][0]} the difference is {number(last.difference)}; fixed interval "
                    f"{_interval(last.fixed_interval)}, always valid "
                    f"{_interval(last.always_valid_interval)}.",
                    {"difference": differences},
                    {"always-valid": always, "fixed": fixed},
                    _references(metric, last),
                ),
                bool(always),
            )


def _references(metric: MetricDesign, found: MetricReadout) -> Iterator[tuple[float, str]]:
    yield 0.0, ""
    if found.control:
        if metric.margin is not None:
            yield -metric.sign * metric.margin * abs(found.control), f"margin, {metric.margin:.3g} of control"
        if metric.minimum_effect is not None:
            effect = metric.sign * metric.minimum_effect * abs(found.control)
            yield effect, f"minimum effect, {metric.minimum_effect:.3g} of control"


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _share(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _interval(ends: tuple[float, float] | None) -> str:
    return NOTHING if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def _p_value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
