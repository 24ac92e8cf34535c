"""Why a row is refused, in words: short, and without values that may be somebody's.

The row itself is kept beside the reason; the reason alone is what gets into messages, logs and tickets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

if TYPE_CHECKING:
    from loaders.landing.schema import Column

_LONGEST_VALUE: Final = 40
_CODE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
"""What words of an enumeration, currencies and markets look like, also misspelt ones."""
_FIGURES: Final = re.compile(r"[0-9TZtzeE:+., /_-]*")
"""What numbers, days and times look like, also odd ones."""
_CODE_ERRORS: Final = ("literal_error", "enum", "string_pattern_mismatch")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]{0,63}")


def shown(value: Any, *, is_code: bool = False, is_free_text: bool = False) -> str:
    """The value as a reason shows it; empty where it may be personal, is long, or is no single value.

    ``is_code``: of a column whose values are words that the contract lists or a pattern describes.
    ``is_free_text``: of a column that may hold any text, such as an id.
    """
    if value is None or value == "":
        return repr(value)
    if is_free_text:
        return ""
    text = ""
    if isinstance(value, str):
        is_harmless = _FIGURES.fullmatch(value) or (is_code and _CODE.fullmatch(value))
        text = repr(value) if is_harmless else ""
    elif not isinstance(value, int) or abs(value) < 10**_LONGEST_VALUE:
        is_one = isinstance(value, int | float | date | datetime | Decimal)
        text = str(value) if is_one else ""
    return text if len(text) <= _LONGEST_VALUE else ""


def of_column(column: Column, value: Any) -> str:
    """The value as a reason shows it, by what its column may hold."""
    is_code = bool(column.allowed or column.pattern)
    return shown(value, is_code=is_code, is_free_text=column.kind is str and not is_code)


def said(name: str, value: str, reason: str) -> str:
    """``market 'gb' does not match …``, or without the value where it is not shown."""
    return f"{name} {value} {reason}" if value else f"{name} {reason}"


def of_problems(columns: Mapping[str, Column], error: ValidationError) -> Iterator[tuple[str, str]]:
    """Path and reason of everything that pydantic finds wrong with a row of those columns."""
    for problem in error.errors(include_url=False):
        path = path_of(problem["loc"])
        column = columns.get(str(problem["loc"][0]))
        if column is None:
            value = ""
        elif column.json:
            value = of_problem(problem)
        else:
            value = of_column(column, problem["input"])
        yield path, f"{said(path, value, '').rstrip()}: {problem['msg']}"


def of_problem(problem: ErrorDetails) -> str:
    """The value inside a payload that pydantic found wrong, as a reason shows it."""
    kind = problem["type"]
    is_code = kind in _CODE_ERRORS
    return shown(problem["input"], is_code=is_code, is_free_text=kind.startswith("string_") and not is_code)


def path_of(parts: tuple[int | str, ...]) -> str:
    """Keys joined by dots; what is no name of a field (a key that nobody expected) is left out."""
    return ".".join(str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "…" for part in parts)
