"""A drill: a failure that has a name, and what its entry in the runbook says to do about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Trial = tuple[Callable[[], object], Callable[[], object]]
"""What fails, and what its entry says to do about it: then the first does not fail any more."""
Drill = Callable[[Path, pytest.MonkeyPatch], Trial]
"""Is given an empty folder. Named after its code, and after what is wrong where a code has several drills:
``landing_refused__no_file``."""


def code_of(drill: Drill) -> str:
    """The code of the failure that a drill causes."""
    return drill.__name__.partition("__")[0]
