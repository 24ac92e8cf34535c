"""Reading many files at once: processes side by side where there is much to read.

Processes and not threads, because CSV and NDJSON are read by Python itself; within one task and not in mapped
ones, because all tables of a landing become visible in one transaction, whose counts one process must know.
A process holds one batch of one file, so memory grows with the processes and not with the day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final

from loaders.landing.errors import ReaderKilledError
from loaders.landing.listing import landing_store
from loaders.landing.read_file import FileLanding, FileOfDay, read_file
from loaders.landing.scratch import Scratch, ScratchRows, part_of
from loaders.warehouse.erasures import ErasedSubjects
from segue.settings import Settings

_MUCH: Final = 256 << 20
"""Bytes of files up to which one process is done sooner than others are started (three seconds)."""


@contextmanager
def read_files(
    settings: Settings, scratch: Scratch, files: Sequence[FileOfDay], erased: ErasedSubjects
) -> Iterator[Iterator[FileLanding]]:
    """What each of the files brought, in their order; their rows are in ``scratch``.

    Raises, as it gets to a file:
        LandingError: as ``read_file``.
        ReaderKilledError: a process was killed, most likely because memory had run out.
    """
    processes = min(settings.landing_processes, len(files))
    if processes < 2 or sum(each.stored.size for each in files) < _MUCH:
        yield (read_file(settings, each, erased, scratch.rows) for each in files)
        return
    # Spawned: a fork would share this process's connections.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (settings, erased, scratch.id))
    try:
        yield _read(scratch, [pool.submit(_read_apart, n, each) for n, each in enumerate(files, 1)])
    finally:
        pool.shutdown(cancel_futures=True)


def _read(scratch: Scratch, files: Sequence[Future[tuple[FileLanding, list[str]]]]) -> Iterator[FileLanding]:
    for file in files:
        try:
            landing, names = file.result()
        except BrokenProcessPool as error:
            raise ReaderKilledError("a process that read landing files was killed") from error
        for name in names:
            scratch.add_part(name)
        yield landing


_mine: tuple[Settings, ErasedSubjects, str] | None = None
"""Of a process that reads files: what all of them are read with."""


def _begin(settings: Settings, erased: ErasedSubjects, landing: str) -> None:
    global _mine
    _mine = settings, erased, landing


def _read_apart(number: int, file: FileOfDay) -> tuple[FileLanding, list[str]]:
    """Read a file into objects of its own; returns the names under which it has rows."""
    assert _mine is not None
    settings, erased, landing = _mine
    rows = ScratchRows()
    try:
        found = read_file(settings, file, erased, rows)
        names = rows.names
        for name in names:
            rows.put(landing_store(settings), name, part_of(landing, name, str(number)))
    finally:
        rows.close()
    return found, names
