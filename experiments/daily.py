"""The readout of a day, from the sums that the mart ``agg_experiment_daily`` keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from experiments.declaration import Experiment, Metric
from experiments.design import Design, Progress
from experiments.readout import readout
from experiments.results import Readout
from experiments.statistics.sums import Number, Sums

EXPOSURES: Final = "exposures"
"""The metric that counts who came; its y are those whose variant was logged as another than was drawn."""
BY_DECISION: Final = "exposures_by_decision"
"""Those of them of whom no surface told: they count from the day on which they were decided for."""
EXCLUDED: Final = "excluded_"
"""Who was left out, by reason, on the day on which that was known; y are those that had been counted."""
MISMATCHES_BLOCK_ABOVE: Final = 0.001
"""Share of the exposed accounts."""

_EXCLUDED_WORDS: Final = {
    "two_variants": "were seen in two variants",
    "unknown_variant": "were seen in a variant that is not declared",
    "converted_before": "had converted before their exposure",
}


@dataclass(frozen=True)
class DailySums:
    """A row of the mart: of the accounts of a variant whose window was complete on the day."""

    variant: str
    metric: str
    metric_date: date
    units: int
    sums: Mapping[str, Number | None]
    """By the names of ``Sums``' fields."""


@dataclass(frozen=True)
class DayReadout:
    """What an experiment has shown up to a day, and what it stands on."""

    day: date
    design: Design
    readout: Readout
    measured: Mapping[tuple[str, str], int]
    """(variant, metric) → accounts whose window is complete."""
    mismatches: int
    """Exposed accounts whose variant was logged as another than was drawn."""
    is_mismatched: bool
    """So many that no number may be believed."""


def readout_of_day(
    experiment: Experiment, metrics: Mapping[str, Metric], rows: Iterable[DailySums], day: date
) -> DayReadout | None:
    """What is known of an experiment at the end of ``day``; None while nobody was exposed.

    ``rows`` are the experiment's, of any days, in any order.
    """
    design = experiment.design(dict(metrics))
    known = [row for row in rows if _counts(row, experiment, metrics, day)]
    units, others = Counter[str](), Counter[str]()
    mismatches = 0
    for row in known:
        if row.metric in metrics:
            continue
        if row.metric == EXPOSURES and row.variant in design.allocation:
            units[row.variant] += row.units
            mismatches += int(row.sums["sum_y"] or 0)
            continue
        others[row.metric] += row.units
        if row.metric.startswith(EXCLUDED) and row.variant in design.allocation:
            units[row.variant] -= int(row.sums["sum_y"] or 0)
    total = sum(units.values())
    if not total:
        return None
    sums = _sums(design, metrics, known)
    progress = Progress((day - experiment.start).days + 1, is_exposing=day < experiment.end)
    found = readout(design, units, sums, progress, _notes(others, mismatches, total))
    is_mismatched = mismatches > MISMATCHES_BLOCK_ABOVE * total
    return DayReadout(
        day=day,
        design=design,
        readout=_blocked(found, mismatches, total) if is_mismatched else found,
        measured={(arm, name): each.n for arm, of_arm in sums.items() for name, each in of_arm.items()},
        mismatches=mismatches,
        is_mismatched=is_mismatched,
    )


def _counts(row: DailySums, experiment: Experiment, metrics: Mapping[str, Metric], day: date) -> bool:
    """Whether the row is known on the day, and of accounts that were exposed while the experiment ran."""
    if row.metric.startswith(EXCLUDED):
        return experiment.start <= row.metric_date <= day
    metric = metrics.get(row.metric)
    exposed = row.metric_date - timedelta(days=metric.window_days if metric else 0)
    return row.metric_date <= day and experiment.start <= exposed <= experiment.end


def _sums(
    design: Design, metrics: Mapping[str, Metric], rows: Iterable[DailySums]
) -> dict[str, dict[str, Sums]]:
    sums = {
        arm: {use.name: _nobody(metrics[use.name]) for use in design.metrics} for arm in design.allocation
    }
    for row in rows:
        of_arm = sums.get(row.variant, {})
        if row.metric in of_arm:
            of_arm[row.metric] += Sums.of(row.units, **row.sums)
    return sums


def _nobody(metric: Metric) -> Sums:
    names = ["sum_y", "sum_y2"]
    names += ["sum_x", "sum_x2", "sum_xy"] if metric.covariate_days else []
    names += ["sum_d", "sum_d2", "sum_yd"] if metric.denominator else []
    names += ["sum_xd"] if metric.covariate_days and metric.denominator else []
    return Sums.of(0, **dict.fromkeys(names, 0))


def _notes(others: Mapping[str, int], mismatches: int, total: int) -> list[str]:
    notes = []
    decided = others.get(BY_DECISION, 0)
    if decided:
        notes.append(
            f"{decided:,} of {total:,} accounts count from the decision: no surface told of their exposure"
        )
    for reason, words in _EXCLUDED_WORDS.items():
        count = others.get(EXCLUDED + reason, 0)
        if count:
            notes.append(f"{count:,} accounts {words} and are in none")
    if mismatches:
        notes.append(f"{mismatches:,} of {total:,} accounts were logged in another variant than was drawn")
    return notes


def mismatch_reason(mismatches: int, total: int) -> str:
    """Why nothing may be believed where so many of all exposed accounts were logged wrongly."""
    return (
        f"{mismatches / total:.2%} of the accounts were logged in another variant than was drawn "
        f"(at most {MISMATCHES_BLOCK_ABOVE:.1%}): who saw what is not known, and no number below holds"
    )


def _blocked(found: Readout, mismatches: int, total: int) -> Readout:
    reason = mismatch_reason(mismatches, total)
    arms = {name: arm.model_copy(update={"verdict": "blocked"}) for name, arm in found.arms.items()}
    return found.model_copy(update={"verdict": "blocked", "arms": arms, "reasons": [reason, *found.reasons]})
