"""A process that reads landing files for another one, and what that one has of it.

Not ``multiprocessing``: an Airflow task of a Celery worker is the child of a daemonic process, which may have
none by it. It talks over its standard input and output, so it ends when whoever started it does, in whatever
way that ends.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from loaders.landing.errors import ReaderKilledError
from loaders.landing.listing import landing_store
from loaders.landing.read_file import FileLanding, FileOfDay, read_file
from loaders.landing.scratch import ScratchRows, part_of
from loaders.warehouse.erasures import ErasedSubjects
from segue.errors import SegueError
from segue.settings import Settings

# Where a task happens to stand is no place to look for modules first: -P.
_COMMAND: Final = (sys.executable, "-P", "-c", "from loaders.landing.reader import main; main()")

FileRead = tuple[FileLanding, list[str]]
"""What a file brought, and the names under which it has rows in scratch objects."""


class Reader:
    """A process that reads one file at a time into scratch objects of the landing."""

    def __init__(self, settings: Settings, erased: ErasedSubjects, landing: str) -> None:
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Modules are found where this process found them.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(each or str(Path.cwd()) for each in sys.path)},
        )
        with suppress(BrokenPipeError):
            self._tell((settings, erased, landing))

    def read(self, number: int, file: FileOfDay) -> FileRead:
        """Read a file; ``number`` is in the names of its scratch objects.

        Raises:
            LandingError: as ``read_file``.
            ReaderKilledError: the process has ended, most likely because memory had run out.
        """
        try:
            self._tell((number, file))
            answer: FileRead | Exception = pickle.load(_open(self._process.stdout))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise ReaderKilledError("a process that read landing files was killed") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                _open(stream).close()

    def _tell(self, what: Any) -> None:
        stream = _open(self._process.stdin)
        pickle.dump(what, stream)
        stream.flush()


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def main() -> None:
    """What the process does: it answers what it is asked until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints is no answer.
    os.dup2(2, 1)
    asked = sys.stdin.buffer
    settings, erased, landing = pickle.load(asked)
    with suppress(EOFError, BrokenPipeError):
        while True:
            number, file = pickle.load(asked)
            _answer(answers, lambda: _read(settings, erased, landing, number, file))  # noqa: B023 - at once


def _answer(answers: IO[bytes], read: Callable[[], FileRead]) -> None:
    try:
        answer: FileRead | Exception = read()
    except Exception as error:
        # What nobody foresaw may not survive the way; what it says does.
        answer = error if isinstance(error, SegueError) else RuntimeError(traceback.format_exc())
    pickle.dump(answer, answers)
    answers.flush()


def _read(settings: Settings, erased: ErasedSubjects, landing: str, number: int, file: FileOfDay) -> FileRead:
    rows = ScratchRows()
    try:
        found = read_file(settings, file, erased, rows)
        names = rows.names
        for name in names:
            rows.put(landing_store(settings), name, part_of(landing, name, str(number)))
    finally:
        rows.close()
    return found, names
