"""The ship rule, and its reasons in plain words.

Ship when the arms have the units they were meant to have, a success metric improved, every guardrail with a
margin is shown to stay within it, and nothing got worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.design import Design, Look, MetricDesign
from experiments.results import MetricReadout, SampleRatio, Verdict


@dataclass(frozen=True)
class Decision:
    """Over the arms, and of each; the reasons name what each arm did."""

    verdict: Verdict
    arms: dict[str, Verdict]
    reasons: list[str]


def decide(
    design: Design,
    look: Look,
    units: Mapping[str, int],
    ratio: SampleRatio,
    read: Mapping[str, Mapping[str, MetricReadout]],
) -> Decision:
    """What follows from the metrics of every arm."""
    reasons = [] if ratio.verdict == "ok" else [ratio_reason(design, units, ratio)]
    if not look.is_planned and ratio.verdict != "block":
        reasons.append("this is not one of the planned looks: it is not decided today")
    arms: dict[str, Verdict] = {}
    for arm in design.treatments:
        arms[arm], of_arm = _judge(design, look, read[arm])
        reasons += [f"{arm}: {reason}" for reason in of_arm]
    if ratio.verdict == "block":
        return Decision("blocked", dict.fromkeys(arms, "blocked"), reasons)
    # What an arm has earned counts before what another has spoilt.
    order: tuple[Verdict, ...] = ("ship", "stop", "keep running", "do not ship")
    return Decision(min(arms.values(), key=order.index), arms, reasons)


def ratio_reason(design: Design, units: Mapping[str, int], ratio: SampleRatio) -> str:
    """Why the numbers of a sample ratio that warns or blocks are to be doubted, or not to be believed."""
    total, weights = sum(units.values()), sum(design.allocation.values())
    counts = ", ".join(
        f"{arm} {units.get(arm, 0):,} of {total * weight / weights:,.0f}"
        for arm, weight in design.allocation.items()
    )
    if ratio.verdict == "warn":
        return f"the arms have hardly the units they were meant to have ({counts}; p = {ratio.p_value:.2g})"
    return (
        f"the arms do not have the units they were meant to have ({counts}; p = {ratio.p_value:.2g}): "
        "what is compared are not the same people, and no number below may be believed"
    )


def _judge(design: Design, look: Look, metrics: Mapping[str, MetricReadout]) -> tuple[Verdict, list[str]]:
    reasons = [metric_reason(metric, metrics[metric.name]) for metric in design.metrics]
    statuses = {metric: metrics[metric.name].status for metric in design.metrics}
    harmed = any(status == "worse" for status in statuses.values())
    improved = any(status == "improved" for status in statuses.values())
    open_guardrails = [
        metric.name
        for metric, status in statuses.items()
        if metric.role == "guardrail" and metric.margin is not None and status != "not worse"
    ]
    if harmed:
        return ("do not ship" if look.is_last else "stop"), reasons
    if improved and not open_guardrails:
        return "ship", reasons
    if not design.of_role("success"):
        reasons.append("no success metric is declared, so nothing can be shipped")
    return ("do not ship" if look.is_last else "keep running"), reasons


def metric_reason(metric: MetricDesign, found: MetricReadout) -> str:
    """What a metric of an arm has shown, in words."""
    name = metric.name
    if found.p_value is None:
        return f"{name} does not vary, or has too few units to say anything"
    change = _change(found)
    if found.status == "improved":
        return f"{name} improved: {change}"
    if found.status == "worse":
        return f"{name} got worse: {change}"
    if found.status == "not worse":
        return f"{name} is shown to be less than {_share(metric.margin)} worse: {change}"
    if metric.role == "guardrail" and metric.margin is not None:
        needs = f"; {found.required_units:,} units would show it" if found.required_units else ""
        return f"{name} is not shown to be less than {_share(metric.margin)} worse: {change}{needs}"
    if metric.role == "success":
        return f"{name} is not shown to have improved: {change}{_what_could_be_seen(metric, found)}"
    return f"{name} is not seen to be worse: {change}"


def _what_could_be_seen(metric: MetricDesign, found: MetricReadout) -> str:
    if found.required_units:
        return f"; an effect of {_share(metric.minimum_effect)} needs {found.required_units:,} units"
    if found.detectable is not None:
        return f"; so many units would have shown an effect of {_share(found.detectable)}"
    return ""


def _share(part: float | None) -> str:
    return f"{100 * (part or 0):.3g}%"


def _change(found: MetricReadout) -> str:
    p_value = found.p_value or 0.0
    sure = "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.4f}"
    if found.relative is not None and found.relative_interval is not None:
        low, high = found.relative_interval
        return f"{found.relative:+.2%} [{low:+.2%}, {high:+.2%}], {sure}"
    low, high = found.interval or (float("nan"), float("nan"))
    return f"{found.difference:+.6g} [{low:+.6g}, {high:+.6g}], {sure}"
