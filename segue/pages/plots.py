"""Plots as shapes: where lines, bands and their labels lie in a box of pixels.

Only geometry; what draws it (``picture.html.jinja``) decides on colours and text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

NOTHING: Final = "–"
"""Stands for a value that is not there."""
WIDTH, HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 14, 12, 30
ROW_HEIGHT = 34
_LABELS_WIDTH = 230
_LABEL_CHARACTERS = 34

Series = Sequence[tuple[date, float]]
Range = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what stands there."""

    place: float
    label: str


@dataclass(frozen=True)
class Shape:
    """An SVG path, and which of the plot's series it is of."""

    path: str
    kind: str


@dataclass(frozen=True)
class Dot:
    """A point with what it says when it is pointed at."""

    x: float
    y: float
    kind: str
    words: str


@dataclass(frozen=True)
class Row:
    """A line of a plot of intervals: its label, the interval's ends and its middle."""

    y: float
    label: str
    low: float
    high: float
    middle: float
    kind: str
    words: str


@dataclass
class Plot:
    """A picture and the words for who cannot see it."""

    title: str
    description: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM
    x_ticks: list[Tick] = field(default_factory=list)
    y_ticks: list[Tick] = field(default_factory=list)
    references: list[Tick] = field(default_factory=list)
    """Horizontal lines, or upright ones in a plot with rows."""
    bands: list[Shape] = field(default_factory=list)
    lines: list[Shape] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def steps(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from at most ``low`` to at least ``high``."""
    span = high - low or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span / about))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= about)
    first, last = math.floor(low / step), math.ceil(high / step)
    if first == last:
        first, last = first - 1, last + 1
    return [step * place for place in range(first, last + 1)]


class _Scale:
    """From values to pixels."""

    def __init__(self, values: Range, pixels: Range) -> None:
        self._low, self._span = values[0], (values[1] - values[0]) or 1.0
        self._start, self._length = pixels[0], pixels[1] - pixels[0]

    def __call__(self, value: float) -> float:
        return round(self._start + self._length * (value - self._low) / self._span, 1)


def number(value: float | None) -> str:
    """Four digits; thousands separated."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def percent(value: float) -> str:
    """Of a share."""
    return f"{100 * value:+.3g}%"


def over_days(
    title: str,
    description: str,
    lines: Mapping[str, Series],
    bands: Mapping[str, Sequence[tuple[date, Range]]],
    references: Iterable[tuple[float, str]] = (),
) -> Plot:
    """Lines and bands over days; each by the kind that it is drawn as. Days without a value are left out.

    The axis is that of the days after the first quarter: what is known of a few units would hide the rest.
    """
    plot = Plot(title, description)
    days = sorted({day for series in (*lines.values(), *bands.values()) for day, _ in series})
    references = list(references)
    if not days:
        return plot
    settled = days[len(days) // 4]
    values = [value for series in lines.values() for day, value in series if day >= settled]
    values += [end for band in bands.values() for day, ends in band if day >= settled for end in ends]
    values += [value for value, _ in references]
    levels = steps(min(values), max(values))
    x = _Scale((days[0].toordinal(), days[-1].toordinal()), (plot.left, plot.right))
    y = _Scale((levels[0], levels[-1]), (plot.bottom, plot.top))
    every = max(1, math.ceil(len(days) / 6))
    plot.x_ticks = [Tick(x(day.toordinal()), f"{day:%-d %b}") for day in days[::every]]
    plot.y_ticks = [Tick(y(level), number(level)) for level in levels]
    plot.references = [Tick(y(value), label) for value, label in references]
    for kind, band in bands.items():
        there = [(x(day.toordinal()), y(low), y(high)) for day, (low, high) in band]
        outline = [(px, upper) for px, _, upper in there] + [(px, lower) for px, lower, _ in reversed(there)]
        if len(there) > 1:
            plot.bands.append(Shape(f"{_path(outline)} Z", kind))
        else:
            # A single day has no area.
            plot.lines += [Shape(_path([(px, lower), (px, upper)]), kind) for px, lower, upper in there]
    for kind, series in lines.items():
        _draw(
            plot,
            kind,
            [(x(day.toordinal()), y(value)) for day, value in series],
            [f"{day.isoformat()}: {number(value)}" for day, value in series],
        )
    return plot


def over_numbers(
    title: str,
    description: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    references: Iterable[tuple[float, str]] = (),
    reaching: Iterable[float] = (),
) -> Plot:
    """Lines over numbers, each by the kind that it is drawn as; references lie across.

    The axis holds the values of ``reaching`` too: plots that are compared reach equally far.
    """
    plot = Plot(title, description)
    points = [point for line in lines.values() for point in line]
    if not points:
        return plot
    references = list(references)
    first, last = min(across for across, _ in points), max(across for across, _ in points)
    values = [value for _, value in points] + [value for value, _ in references] + list(reaching)
    levels = steps(min(values), max(values))
    x = _Scale((first, last), (plot.left, plot.right))
    y = _Scale((levels[0], levels[-1]), (plot.bottom, plot.top))
    plot.x_ticks = [Tick(x(step), number(step)) for step in steps(first, last, 7) if first <= step <= last]
    plot.y_ticks = [Tick(y(level), number(level)) for level in levels]
    plot.references = [Tick(y(value), label) for value, label in references]
    for kind, line in lines.items():
        places = [(x(across), y(value)) for across, value in line]
        _draw(plot, kind, places, [f"{number(across)}: {number(value)}" for across, value in line])
    return plot


def intervals(title: str, description: str, rows: Sequence[tuple[str, str, float, Range]]) -> Plot:
    """Intervals of shares under each other: label, kind, middle, ends; zero is a reference."""
    return _under_each_other(
        title,
        description,
        [
            (label, kind, middle, ends, f"{percent(middle)}, {percent(ends[0])} to {percent(ends[1])}")
            for label, kind, middle, ends in rows
        ],
        [(0.0, "no difference")],
        percent,
    )


def lengths(
    title: str,
    description: str,
    rows: Sequence[tuple[str, str, float]],
    references: Iterable[tuple[float, str]] = (),
) -> Plot:
    """Values under each other, each a line from zero: label, kind, value; references stand upright."""
    return _under_each_other(
        title,
        description,
        [
            (label, kind, value, (min(value, 0.0), max(value, 0.0)), number(value))
            for label, kind, value in rows
        ],
        list(references),
        number,
    )


def _under_each_other(
    title: str,
    description: str,
    rows: Sequence[tuple[str, str, float, Range, str]],
    references: Sequence[tuple[float, str]],
    shown: Callable[[float], str],
) -> Plot:
    """Rows of label, kind, middle, ends and what they say."""
    plot = Plot(title, description, width=WIDTH + _LABELS_WIDTH, left=_LABELS_WIDTH)
    plot.right = plot.width - _RIGHT
    plot.height = _TOP + ROW_HEIGHT * len(rows) + _BOTTOM
    plot.bottom = plot.height - _BOTTOM
    if not rows:
        return plot
    ends = [0.0, *(end for _, _, _, pair, _ in rows for end in pair), *(place for place, _ in references)]
    levels = steps(min(ends), max(ends), 7)
    x = _Scale((levels[0], levels[-1]), (plot.left, plot.right))
    plot.x_ticks = [Tick(x(level), shown(level)) for level in levels]
    plot.references = [Tick(x(place), label) for place, label in references]
    for place, (label, kind, middle, (low, high), said) in enumerate(rows):
        short = label if len(label) <= _LABEL_CHARACTERS else f"{label[: _LABEL_CHARACTERS - 1]}…"
        y = plot.top + ROW_HEIGHT * (place + 0.5)
        plot.rows.append(Row(y, short, x(low), x(high), x(middle), kind, f"{label}: {said}"))
    return plot


def _draw(plot: Plot, kind: str, places: Sequence[tuple[float, float]], words: Sequence[str]) -> None:
    """A line through points, and the points; a single one is no line."""
    if len(places) > 1:
        plot.lines.append(Shape(_path(places), kind))
    plot.dots += [Dot(x, y, kind, said) for (x, y), said in zip(places, words, strict=True)]


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M " + " L ".join(f"{x:g},{y:g}" for x, y in places)
