"""Reading many files at once: processes side by side where there is much to read.

Processes and not threads, because CSV and NDJSON are read by Python itself; within one task and not in mapped
ones, because all tables of a landing become visible in one transaction, whose counts one process must know.
A process holds one batch of one file, so memory grows with the processes and not with the day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue

import structlog

from loaders.landing.read_file import FileLanding, FileOfDay, read_file
from loaders.landing.reader import FileRead, Reader
from loaders.landing.scratch import Scratch
from loaders.warehouse.erasures import ErasedSubjects
from segue.settings import Settings

log = structlog.get_logger(__name__)


@contextmanager
def read_files(
    settings: Settings, scratch: Scratch, files: Sequence[FileOfDay], erased: ErasedSubjects
) -> Iterator[Iterator[FileLanding]]:
    """What each of the files brought, in their order; their rows are in ``scratch``.

    Raises, as it gets to a file:
        LandingError: as ``read_file``.
        ReaderKilledError: a process was killed, most likely because memory had run out.
    """
    count = min(settings.landing_processes, len(files))
    if count < 2 or sum(each.stored.size for each in files) < settings.landing_processes_from_bytes:
        yield (read_file(settings, each, erased, scratch.rows) for each in files)
        return
    log.info("landing_read_side_by_side", files=len(files), processes=count)
    readers = [Reader(settings, erased, scratch.id) for _ in range(count)]
    idle: SimpleQueue[Reader] = SimpleQueue()
    for reader in readers:
        idle.put(reader)

    def read_apart(number: int, file: FileOfDay) -> FileRead:
        # As many threads as readers: there is one.
        reader = idle.get()
        try:
            return reader.read(number, file)
        finally:
            idle.put(reader)

    pool = ThreadPoolExecutor(count)
    try:
        yield _in_order(scratch, [pool.submit(read_apart, n, each) for n, each in enumerate(files, 1)])
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for reader in readers:
            reader.end()
        pool.shutdown()


def _in_order(scratch: Scratch, files: Sequence[Future[FileRead]]) -> Iterator[FileLanding]:
    for file in files:
        landing, names = file.result()
        for name in names:
            scratch.add_part(name)
        yield landing
