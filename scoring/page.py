"""A model's page of HTML that needs nothing else: how good it is, what it goes by, whether that holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from scoring.artifact import Description
from scoring.insights import Dependence, Importance, Insights
from scoring.propensity import CalibrationLine, Decile, Quality
from scoring.stability import LIMITS, SCORE, DayMeasures, Measure
from scoring.uplift import QiniPoint, UpliftDecile, UpliftQuality
from segue.pages.environment import environment
from segue.pages.plots import Plot, lengths, number, over_days, over_numbers

TEMPLATE: Final = "page.html.jinja"
MOST_IMPORTANT: Final = 20
_MODEL, _OTHER = "series-0", "series-1"


class _Predictor(Quality):
    model_config = ConfigDict(frozen=True, extra="ignore")

    qini: float | None = None


class Metrics(BaseModel):
    """What of a model's metrics has a place on its page."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    quality: _Predictor | None = None
    calibration: CalibrationLine | None = None
    lift: list[Decile] = []
    baselines: dict[str, _Predictor] = {}
    uplift: UpliftQuality | None = None


@dataclass(frozen=True)
class _Figure:
    plot: Plot
    key: Mapping[str, str]
    """Styles by what they stand for; empty where the title says it."""


def page(
    title: str,
    description: Description,
    watched: Sequence[DayMeasures] = (),
    facts: Mapping[str, str] | None = None,
) -> str:
    """The page of one trained model; ``watched`` may come in any order, the newest day is what is told.

    The same model and measures give the same page, byte for byte.
    """
    metrics = Metrics.model_validate(description.metrics)
    insights = description.insights
    predictors = {} if metrics.quality is None else {"model": metrics.quality, **metrics.baselines}
    days = sorted(watched, key=lambda each: each.day)
    return (
        environment(Path(__file__).parent)
        .get_template(TEMPLATE)
        .render(
            title=title,
            facts=dict(facts or {}),
            predictors=predictors,
            calibration=metrics.calibration,
            uplift=metrics.uplift,
            quality=list(_quality(metrics, insights.qini)),
            importance=_importance(insights.importance),
            dependence=list(_dependences(insights)),
            slices=insights.slices,
            day=days[-1].day if days else None,
            measured=_newest(days),
            drift=list(_drift(days)),
        )
    )


def _quality(metrics: Metrics, qini: Sequence[QiniPoint] | None) -> Iterator[_Figure]:
    if metrics.lift:
        yield _reliability(metrics.lift)
    if metrics.uplift is not None:
        yield _uplift(metrics.uplift.by_decile)
    elif metrics.lift:
        yield _lift(metrics.lift)
    if qini:
        yield _qini(qini)


def _reliability(deciles: Sequence[Decile]) -> _Figure:
    points = sorted((each.predicted, each.observed) for each in deciles)
    ends = (min(min(point) for point in points), max(max(point) for point in points))
    return _Figure(
        over_numbers(
            "Reliability: share of events by the probability that was predicted, by tenths of the rows",
            "; ".join(
                f"predicted {predicted:.2%}, observed {observed:.2%}" for predicted, observed in points
            ),
            {_OTHER: [(end, end) for end in ends], _MODEL: points},
        ),
        {"observed": _MODEL, "true probabilities": _OTHER},
    )


def _lift(deciles: Sequence[Decile]) -> _Figure:
    return _Figure(
        over_numbers(
            "Lift by decile: share of events over that of all rows, highest scores first",
            "; ".join(f"decile {each.decile}: {each.lift:.2f}" for each in deciles),
            {_MODEL: [(each.decile, each.lift) for each in deciles]},
            [(1.0, "all rows")],
        ),
        {},
    )


def _uplift(deciles: Sequence[UpliftDecile]) -> _Figure:
    observed = [(float(each.decile), each.uplift) for each in deciles if each.uplift is not None]
    return _Figure(
        over_numbers(
            "Uplift by decile: events of the treated less those of control, highest scores first",
            "; ".join(
                f"decile {each.decile}: predicted {each.predicted:+.2%}, observed "
                f"{'nothing' if each.uplift is None else format(each.uplift, '+.2%')}"
                for each in deciles
            ),
            {_OTHER: [(each.decile, each.predicted) for each in deciles], _MODEL: observed},
            [(0.0, "no effect")],
        ),
        {"observed": _MODEL, "predicted": _OTHER},
    )


def _qini(curve: Sequence[QiniPoint]) -> _Figure:
    last, half = curve[-1], curve[len(curve) // 2]
    return _Figure(
        over_numbers(
            "Qini: events gained a treated row, by the share of rows that is treated",
            f"Treating all gains {last.gained:+.4f}; the best half gains {half.gained:+.4f}.",
            {
                _OTHER: [(0.0, 0.0), (last.share, last.gained)],
                _MODEL: [(each.share, each.gained) for each in curve],
            },
        ),
        {"by the model": _MODEL, "by chance": _OTHER},
    )


def _importance(importance: Sequence[Importance]) -> Plot:
    told = importance[:MOST_IMPORTANT]
    rest = len(importance) - len(told)
    others = f"; {rest} more say less" if rest else ""
    return lengths(
        "Mean contribution to a raw score without its sign, in log odds",
        "; ".join(f"{each.feature}: {number(each.contribution)}" for each in told) + others,
        [(each.feature, "plain", each.contribution) for each in told],
    )


def _dependences(insights: Insights) -> Iterator[Plot]:
    """Reaching equally far, so that a feature that moves the score little looks like it."""
    scores = [point.score for each in insights.dependence for point in each.points]
    for each in insights.dependence:
        yield _dependence(each, (min(scores), max(scores)), is_uplift=insights.qini is not None)


def _dependence(dependence: Dependence, reaching: tuple[float, float], *, is_uplift: bool) -> Plot:
    score = "uplift" if is_uplift else "score"
    title = f"{dependence.feature}: mean {score}, had all rows the value"
    words = "; ".join(
        f"{each.value if isinstance(each.value, str) else number(each.value)}: {each.score:.2%}"
        for each in dependence.points
    )
    numbers = [(each.value, each.score) for each in dependence.points if not isinstance(each.value, str)]
    if len(numbers) == len(dependence.points):
        return over_numbers(title, words, {_MODEL: numbers}, reaching=reaching)
    return lengths(title, words, [(str(each.value), "plain", each.score) for each in dependence.points])


def _newest(days: Sequence[DayMeasures]) -> list[tuple[Measure, date]]:
    """Of each kind and subject the newest, with its day: not all are measured on every day."""
    found = {(each.measure, each.subject): (each, known.day) for known in days for each in known.measures}
    return [found[key] for key in sorted(found, key=lambda key: (key[0] != "population_stability", *key))]


def _drift(days: Sequence[DayMeasures]) -> Iterator[Plot]:
    """Stability of every feature on the newest day, and of the scores over the days."""
    if not days:
        return
    references = list(zip(LIMITS["population_stability"], ("warns", "critical"), strict=True))
    newest = [each for each, _ in _newest(days) if each.measure == "population_stability"]
    rows = sorted(newest, key=lambda each: (-each.value, each.subject))
    if rows:
        yield lengths(
            f"Population stability index against training, on {days[-1].day}",
            "; ".join(f"{each.subject}: {number(each.value)} ({each.level})" for each in rows),
            [(each.subject, each.level, each.value) for each in rows],
            references,
        )
    line = [
        (each.day, measure.value)
        for each in days
        for measure in each.measures
        if (measure.measure, measure.subject) == ("population_stability", SCORE)
    ]
    if len(line) > 1:
        yield over_days(
            "Population stability index of the scores against training",
            f"On {line[-1][0]}: {number(line[-1][1])}.",
            {_MODEL: line},
            {},
            references,
        )
