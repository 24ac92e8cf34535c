"""Facts as HTML: templates beside this module, and how numbers and times are written in them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from segue.pages.environment import environment
from segue.pages.plots import NOTHING

_MINUTE: Final = 60.0


@cache
def _templates() -> Environment:
    made = environment(Path(__file__).parent / "templates")
    made.filters |= {"count": count, "amount": amount, "took": took, "at": at, "bytes": volume}
    return made


def render(template: str, *, base: str = "", **facts: Any) -> str:
    """A page. ``base`` is the path that the pages lie below, without a slash at its end."""
    return _templates().get_template(f"{template}.html.jinja").render(base=base, **facts)


def count(value: float | None) -> str:
    """A number of things."""
    return NOTHING if value is None else f"{value:,.0f}"


def amount(value: Decimal | float | None) -> str:
    """A number with at most two decimal places."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def took(seconds: float | None) -> str:
    """A duration: seconds below a minute, else minutes."""
    if seconds is None:
        return NOTHING
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.1f} min"


def at(moment: datetime | date | None) -> str:
    """A time in UTC to the minute, or a day."""
    if moment is None:
        return NOTHING
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else moment.isoformat()


def volume(number: int | None) -> str:
    """A number of bytes."""
    if number is None:
        return NOTHING
    size = float(number)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
