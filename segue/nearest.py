"""What somebody meant who mistyped a name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` is most like, or none."""
    return next(iter(get_close_matches(name, sorted(known), n=1)), None)
