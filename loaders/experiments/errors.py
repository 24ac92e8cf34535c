"""What can be wrong with an outside experiment's file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from segue.errors import SegueError

_SHOWN: Final = 20


@dataclass(frozen=True)
class Mistake:
    """A cell, or a whole row where ``column`` is empty; rows count from 1, without the header."""

    row: int
    column: str
    message: str


class ExperimentFileError(SegueError):
    """The file cannot be read by its map; names rows and columns where those are at fault."""

    code = "experiment_file"
    exit_code = 2
    is_final = True

    def __init__(self, file: str, problem: str | list[Mistake]) -> None:
        if isinstance(problem, str):
            lines = [f"{file}: {problem}"]
        else:
            ordered = sorted(problem, key=lambda mistake: mistake.row)[:_SHOWN]
            lines = [
                f"{file}: row {each.row}: {f'column {each.column}: ' if each.column else ''}{each.message}"
                for each in ordered
            ]
        super().__init__("\n".join(lines))
