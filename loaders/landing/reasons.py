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
_MOST_DIGITS: Final = 9
"""Of a number that is shown: telephones, cards and most numeric ids have more."""
_CODE: Final = re.compile(r"[a-z]+(?:[_-][a-z]+)*|[A-Z]+(?:[_-][A-Z]+)*")
"""What words of enumerations, currencies and markets look like, also misspelt and unheard-of ones. Ids have
digits, addresses have signs, and names begin with a capital letter."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]*[.,]?[0-9]*(?:[eE][+-]?[0-9]+)?")
_TIME: Final = re.compile(
    r"(?:[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4})"
    r"(?:[Tt ][0-9]{1,2}(?::[0-9]{1,2}){1,2}(?:[.,][0-9]{1,9})?(?: ?[Zz]| ?[+-][0-9]{2}:?[0-9]{2})?)?"
)
"""What days and times look like, also impossible ones."""
_CODE_ERRORS: Final = ("literal_error", "enum", "string_pattern_mismatch")
_LETTERS: Final = r"(?:[^\W\d]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})+"
_COLUMN: Final = re.compile(rf"{_LETTERS}(?: {_LETTERS})*[0-9]{{0,2}}")
"""What people call columns: words, perhaps with a small number; an address or an id has more in it."""
_NAME: Final = re.compile(r"[a-z][A-Za-z_]{0,63}")
"""What columns, and fields of the providers' messages, are called."""


def shown(value: Any, *, is_code: bool = False, is_free_text: bool = False) -> str:
    """The value as a reason shows it; empty where it may be personal, is long, or is no single value.

    ``is_code``: of a column whose values are words that the contract lists or a pattern describes.
    ``is_free_text``: of a column that may hold any text, such as an id. Of all others numbers and times.
    """
    if value is None or value == "":
        return repr(value)
    if is_free_text:
        return ""
    text = ""
    if isinstance(value, str):
        is_harmless = _CODE.fullmatch(value) if is_code else _is_figure(value)
        text = repr(value) if is_harmless else ""
    elif isinstance(value, date | datetime):
        text = str(value)
    elif isinstance(value, float | Decimal) or (isinstance(value, int) and abs(value) < 10**_MOST_DIGITS):
        text = str(value)
        text = text if _digits(text) <= _MOST_DIGITS else ""
    return text if len(text) <= _LONGEST_VALUE else ""


def _is_figure(text: str) -> bool:
    is_number = _NUMBER.fullmatch(text) and _digits(text) <= _MOST_DIGITS
    return bool(is_number or _TIME.fullmatch(text))


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def word_or_figure(text: str) -> str:
    """The text as a reason shows it, of a column of which no contract says what it holds."""
    return shown(text, is_code=True) or shown(text)


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


def column_name(name: str) -> str:
    """What somebody called a column, as a message shows it; empty where it may be no name but a value."""
    text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name)
    return text[:64] if _COLUMN.fullmatch(text) else ""


def path_of(parts: tuple[int | str, ...]) -> str:
    """Keys joined by dots; what is not like the name of a field (a key may be any text) is left out."""
    return ".".join(str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "…" for part in parts)
