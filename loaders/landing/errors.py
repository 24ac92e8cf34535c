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


LONGEST_REASON = 299


@dataclass(frozen=True)
class Refusal:
    """A row that broke its contract: kept in quarantine with what was wrong.

    ``row`` counts from 1 in its file; ``payload`` is the row as JSON, or the line as it was, where bytes that
    are no UTF-8 are escaped. ``reason`` has at most ``LONGEST_REASON`` characters.
    """

    file: str
    row: int
    column: str
    reason: str
    payload: str

    def __post_init__(self) -> None:
        reason = _storable(self.reason)
        if len(reason) > LONGEST_REASON:
            reason = f"{reason[: LONGEST_REASON - 1]}…"
        for name, text in (
            ("column", _storable(self.column)[:128]),
            ("reason", reason),
            ("payload", _storable(self.payload)),
        ):
            object.__setattr__(self, name, text)


def is_utf8(text: str) -> bool:
    """Whether the text holds no halves of surrogate pairs, as which bytes are read that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _storable(text: str) -> str:
    return text if is_utf8(text) else text.encode(errors="backslashreplace").decode()
