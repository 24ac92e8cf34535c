"""Imported libraries are not looked through for garbage again and again."""

from __future__ import annotations

import subprocess
import sys

LOOKS = """
import gc
from segue.garbage import keep_what_is_there
before = len(gc.get_objects())
keep_what_is_there()
print(gc.get_freeze_count() > before // 2, len(gc.get_objects()) < before, gc.get_threshold()[0])
"""


def test_what_was_there_at_the_start_is_not_looked_at_again() -> None:
    """In a process of its own: the whole suite's would keep its garbage."""
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True", "50000"]
