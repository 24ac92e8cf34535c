"""What can be wrong with a file of others that is read by a map; how its labels are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from segue.errors import SegueError

_SHOWN: Final = 20
_WHOLE: Final = re.compile(r"([+-]?\d+)\.0+")


@dataclass(frozen=True)
class Mistake:
    """A cell, or a whole row where ``column`` is empty; rows count from 1, without the header."""

    row: int
    column: str
    message: str


class OutsideFileError(SegueError):
    """The file cannot be read by its map; names rows and columns where those are at fault."""

    code = "outside_file"
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


def label(value: Any) -> Any:
    """A name as a text, however it is written: 1.0 is 1, True is true."""
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str):
        return value
    value = value.strip()
    whole = _WHOLE.fullmatch(value)
    if whole:
        return whole[1]
    return value.lower() if value.lower() in ("true", "false") else value


Label = Annotated[str, BeforeValidator(label), Field(min_length=1)]
