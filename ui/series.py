"""Small plots over ninety days, with one of them marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from segue.pages.plots import Plot, number, over_days
from segue.window import DAY, days_between
from ui.reading import Row

SHOWN_DAYS: Final = 90


@dataclass(frozen=True)
class DaySeries:
    """Values over days: what they are, and their plot; ``value`` is the marked day's, None without one."""

    name: str
    value: float | None
    plot: Plot


def days_shown(day: date) -> list[date]:
    """The days of the plots, the marked one last."""
    return list(days_between(day - (SHOWN_DAYS - 1) * DAY, day))


def day_series(name: str, points: Sequence[tuple[date, float]], marked: date) -> DaySeries:
    """A line over days with its marked day; days without a value are left out."""
    known = dict(points)
    value = known.get(marked)
    said = f"{number(value)} on {marked}" if value is not None else f"nothing on {marked}"
    plot = over_days(name, f"{name} over {SHOWN_DAYS} days: {said}", {"value": sorted(points)}, {})
    if value is not None:
        # Only the marked day has a dot; the others are the line.
        plot.dots = [dot for dot in plot.dots if dot.words.startswith(marked.isoformat())]
    else:
        plot.dots = []
    return DaySeries(name, value, plot)


def series_of(
    day: date, subscriptions: Sequence[Row], conversions: Sequence[Row], rows: Sequence[Row]
) -> list[DaySeries]:
    """MRR, active subscriptions, conversions, and the rows of every mart."""

    def points(found: Sequence[Row], column: str) -> list[tuple[date, float]]:
        return [(row["day"], float(row[column])) for row in found if row[column] is not None]

    marts = sorted({str(row["mart"]) for row in rows})
    made = [
        day_series("MRR in US dollars", points(subscriptions, "mrr"), day),
        day_series("Active subscriptions", points(subscriptions, "active"), day),
        day_series("Conversions", points(conversions, "conversions"), day),
        *(
            day_series(f"Rows of {mart}", points([r for r in rows if r["mart"] == mart], "row_count"), day)
            for mart in marts
        ),
    ]
    return [each for each in made if each.plot.lines or each.plot.dots]
