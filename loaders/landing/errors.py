"""What can be wrong with landing files, in the two sizes that matter: a file, or a row."""

from __future__ import annotations

from dataclasses import dataclass


class LandingError(RuntimeError):
    """A file or a day cannot land; raw still holds what it held before."""


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
