"""Texts of errors without what stands in rows.

BigQuery, dbt, Great Expectations and Bigtable quote in an error the value or the key that they stumbled over.
It names people, and a log, an alert or a task's message goes where nobody can take anything back.
"""

from __future__ import annotations

import re
from typing import Final

WITHHELD: Final = "…"
"""Stands in the place of what is left out."""

_TYPE: Final = (
    "u?int(?:eger)?(?:32|64)?|float(?:64)?|double|bool(?:ean)?|(?:big)?numeric|decimal|date|datetime|time|"
    "timestamp|interval|string|bytes|json|enum"
)
_BAD_VALUE: Final = re.compile(
    rf"\b((?:bad|invalid) (?:{_TYPE})(?: value| string| field)?:|\bvalue:).*", re.IGNORECASE
)
"""As in "Bad int64 value: …": up to the end of the line, because nothing shows where the value ends."""
_KEY: Final = re.compile(r"\b(duplicate key:?) .+?(?= violates|$)", re.IGNORECASE)
_QUOTED: Final = re.compile(
    r"(?P<before>\b\w+)?(?P<gap>\W*?)(?<!\w)(?P<quote>['\"])(?P<text>.*?)(?P=quote)(?!\w)"
)
_NAMES: Final = frozenset(
    {"column", "columns", "field", "table", "tables", "view", "schema", "dataset", "function", "model"}
    | {"node", "keyword", "job", "named", "name", "file", "expected", "got", "near"}
)
"""What is quoted after one of these is the code's."""
_ADDRESS: Final = re.compile(r"[^\s'\"<>(),;:=]+@[^\s'\"<>(),;:=]+")
_SERVICE_ACCOUNT: Final = ".gserviceaccount.com"
_TELLABLE: Final = re.compile(r"\d{4}-\d{2}-\d{2}|[A-Z]{2,3}|")


def is_tellable(text: str) -> bool:
    """Whether a value says nothing of anybody: a day, or the code of a currency or a market."""
    return bool(_TELLABLE.fullmatch(text))


def redacted(text: str) -> str:
    """The text without values in quotes, without what an error calls a bad value, and without addresses.

    Names of columns and tables stay, and so do days, codes of currencies and markets, and service accounts.
    """
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    line = _KEY.sub(rf"\1 {WITHHELD}", _BAD_VALUE.sub(rf"\1 {WITHHELD}", line))
    line = _QUOTED.sub(_without_value, line)
    return _ADDRESS.sub(lambda found: _address(found[0]), line)


def _without_value(found: re.Match[str]) -> str:
    before, gap, quote = found["before"] or "", found["gap"], found["quote"]
    is_name = before.lower() in _NAMES and not gap.strip()
    text = found["text"] if is_name or is_tellable(found["text"]) else WITHHELD
    return f"{before}{gap}{quote}{text}{quote}"


def _address(address: str) -> str:
    return address if address.rstrip(".").endswith(_SERVICE_ACCOUNT) else WITHHELD
