"""What one task leaves for the next one: nothing, when somebody marked it successful that did not run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from segue.errors import SegueError

Left = TypeVar("Left")


class NothingLeftError(SegueError):
    """A task has nothing to work on, because the one before it did not run."""

    code = "nothing_left"
    hint = "clear the task before it with all that follow: one that is marked successful has not run"
    is_final = True


def left_by(before: str, name: str, left: Iterable[Left | None] | None) -> list[Left]:
    """What the task ``before`` has left for the task of that name; it may have been several in one.

    Raises:
        NothingLeftError: nothing.
    """
    found = [each for each in left or () if each is not None]
    if not found:
        raise NothingLeftError(f"`{before}` has left nothing for `{name}` to work on")
    return found
