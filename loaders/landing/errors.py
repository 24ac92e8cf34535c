"""What can be wrong with landing files, in the two sizes that matter: a file, or a row."""

from __future__ import annotations

from dataclasses import dataclass

from segue.errors import SegueError


class LandingError(SegueError):
    """A file or a day cannot land; raw still holds what it held before."""

    code = "landing_refused"
    hint = "have the file delivered again, then land the day again; raw still holds what it held"


class ReaderKilledError(LandingError):
    """A process that read files has ended; raw still holds what it held before."""

    code = "landing_reader_killed"
    hint = "give the worker more memory, or have fewer read at once (SEGUE_LANDING_PROCESSES); then run again"


@dataclass(frozen=True)
class Refusal:
    """A row that broke its contract: kept in quarantine with what was wrong.

    ``row`` counts from 1 in its file; ``payload`` is the row as JSON, or the line as it was.
    """

    file: str
    row: int
    column: str
    reason: str
    payload: str
