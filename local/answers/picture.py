"""An answer as a small SVG: bars, or points with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from segue.pages.plots import number, steps

_WIDTH, _LABELS, _RIGHT, _TOP, _ROW, _BOTTOM = 720, 190, 70, 34, 26, 28
_INK, _FAINT, _BAR, _LIGHT = "#1d2733", "#6b7785", "#2f6f9f", "#c9d6e0"

Record = Mapping[str, str]


def draw(records: Sequence[Record], how: Mapping[str, str]) -> str:
    """The picture that ``how`` asks for.

    ``kind`` is bars or intervals; ``label`` names the columns that say what a row is, ``value`` the one that
    is drawn, ``low`` and ``high`` the ends of its interval, ``before`` one that is marked on a bar, ``share``
    that values are parts of one, written as percent. Rows without a value are left out.
    """
    value = how["value"]
    rows = [record for record in records if record[value]]
    ends = [how[name] for name in ("low", "high", "before") if name in how]
    numbers = [float(record[name]) for record in rows for name in (value, *ends) if record[name]]
    levels = steps(min([0.0, *numbers]), max([0.0, *numbers]), 6)
    if how.get("share") and max(numbers, default=0.0) <= 1.0:
        levels = [level for level in levels if level <= 1.0]
    height = _TOP + _ROW * len(rows) + _BOTTOM
    span = levels[-1] - levels[0]

    def x(at: float) -> float:
        return round(_LABELS + (_WIDTH - _LABELS - _RIGHT) * (at - levels[0]) / span, 1)

    def said(at: float) -> str:
        return f"{100 * at:.3g}%" if how.get("share") else number(at)

    parts = [
        f'<text x="{_LABELS}" y="18" font-weight="600">{escape(how["title"])}</text>',
        *_axis(levels, x, said, height),
    ]
    for place, record in enumerate(rows):
        middle = _TOP + _ROW * place + _ROW / 2
        label = " ".join(record[name] or "none" for name in how["label"].split(","))
        parts.append(_text(_LABELS - 8, middle + 4, label, "end"))
        parts += (_interval if how["kind"] == "intervals" else _bar)(record, how, x, said, middle)
    content = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">\n'
        f'<title>{escape(how["title"])}</title>\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f"{content}\n</svg>\n"
    )


def _axis(
    levels: Iterable[float], x: Callable[[float], float], said: Callable[[float], str], height: int
) -> Iterable[str]:
    for level in levels:
        colour = _FAINT if level == 0 else _LIGHT
        yield _line((x(level), x(level)), (_TOP - 6, height - _BOTTOM), colour)
        yield _text(x(level), height - 10, said(level), "middle", _FAINT)


def _bar(
    record: Record,
    how: Mapping[str, str],
    x: Callable[[float], float],
    said: Callable[[float], str],
    middle: float,
) -> Iterable[str]:
    value = float(record[how["value"]])
    left, right = sorted((x(0.0), x(value)))
    width = round(right - left, 1)
    yield f'<rect x="{left}" y="{middle - 8}" width="{width}" height="16" fill="{_BAR}"/>'
    farthest = right
    before = record.get(how.get("before", ""))
    if before:
        at = x(float(before))
        farthest = max(right, at)
        yield _line((at, at), (middle - 11, middle + 11), _INK, 2)
    yield _text(farthest + 6, middle + 4, said(value), "start")


def _interval(
    record: Record,
    how: Mapping[str, str],
    x: Callable[[float], float],
    said: Callable[[float], str],
    middle: float,
) -> Iterable[str]:
    value = float(record[how["value"]])
    farthest = x(value)
    low, high = record[how["low"]], record[how["high"]]
    if low and high:
        farthest = x(float(high))
        yield _line((x(float(low)), farthest), (middle, middle), _BAR, 3)
    yield f'<circle cx="{x(value)}" cy="{middle}" r="5" fill="{_BAR}"/>'
    yield _text(farthest + 10, middle + 4, said(value), "start")


def _line(x: tuple[float, float], y: tuple[float, float], colour: str, width: int = 1) -> str:
    return (
        f'<line x1="{x[0]}" x2="{x[1]}" y1="{y[0]}" y2="{y[1]}" stroke="{colour}" stroke-width="{width}" '
        'stroke-linecap="round"/>'
    )


def _text(x: float, y: float, words: str, anchor: str, colour: str = _INK) -> str:
    return f'<text x="{round(x, 1)}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'
