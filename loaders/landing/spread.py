"""Reading many files at once: processes side by side where there is much to read.

Processes and not threads, because CSV and NDJSON are read by Python itself; within one task and not in mapped
ones, because all tables of a landing become visible in one transaction, whose counts one process must know.
A process holds one batch of one file, so memory grows with the processes and not with the day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue

import structlog
from opentelemetry.trace import Span

from loaders.landing.read_file import FileLanding, FileOfDay, read_file
from loaders.landing.reader import FileRead, Reader
from loaders.landing.scratch import Scratch
from loaders.warehouse.erasures import ErasedSubjects
from segue.settings import Settings
from segue.telemetry import Step, present_step

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
    step = present_step()
    count = min(settings.landing_processes, len(files))
    if count < 2 or sum(each.stored.size for each in files) < settings.landing_processes_from_bytes:
        yield (_read(step, settings, each, erased, scratch) for each in files)
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
            with _span(step, file) as span:
                read = reader.read(number, file)
                _say(span, read[0])
                return read
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


def _read(
    step: Step, settings: Settings, file: FileOfDay, erased: ErasedSubjects, scratch: Scratch
) -> FileLanding:
    with _span(step, file) as span:
        landing = read_file(settings, file, erased, scratch.rows)
        _say(span, landing)
        return landing


def _span(step: Step, file: FileOfDay) -> AbstractContextManager[Span]:
    return step.span(
        "landing.file",
        table=file.table,
        day=file.day.isoformat(),
        file=file.stored.base_name,
        bytes=file.stored.size,
    )


def _say(span: Span, landing: FileLanding) -> None:
    span.set_attributes({"rows": landing.rows_in, "rows_quarantined": landing.rows_quarantined})


def _in_order(scratch: Scratch, files: Sequence[Future[FileRead]]) -> Iterator[FileLanding]:
    for file in files:
        landing, names = file.result()
        for name in names:
            scratch.add_part(name)
        yield landing
