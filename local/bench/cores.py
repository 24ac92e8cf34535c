"""A core each for those who are measured against each other, where the machine lets us choose (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil


def two_cores() -> tuple[int, int] | None:
    """Two cores that this process may use; ``None`` where there are no two, or no choosing."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


def pin(pid: int, cores: set[int]) -> None:
    """Keeps a process on these cores: every thread that it has, whose later threads inherit it."""
    for thread in psutil.Process(pid).threads():
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(thread.id, cores)


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keeps this process on one core within the block (``None``: where it likes)."""
    if core is None:
        yield
        return
    with on_cores({core}):
        yield


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Keeps this process, and what it starts, on these cores within the block."""
    before = os.sched_getaffinity(0)
    pin(os.getpid(), cores)
    try:
        yield
    finally:
        pin(os.getpid(), before)
