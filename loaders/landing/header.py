"""The columns of a landing file: names as people write them, the separator, and what the contract says."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from loaders.landing.errors import LandingError
from loaders.landing.reasons import column_name
from loaders.landing.row import LandingRow
from loaders.landing.schema import columns_of

SEPARATORS: Final = (",", ";", "\t", "|")
_LONGEST_HEADER: Final = 1 << 20
_LONGEST_CELL: Final = 64 << 20
"""A payload may be long; Python's own limit is 128 KB."""
_DECLARED: Final = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)
"""A first line by which a spreadsheet program tells another of the separator."""

csv.field_size_limit(_LONGEST_CELL)


class Lines(Protocol):
    """A text that is read line by line."""

    def readline(self, limit: int, /) -> str:
        """The next line, or so many characters of it; nothing at the end."""
        ...


def csv_header(contract: type[LandingRow], name: str, text: Lines) -> tuple[str, list[str], tuple[str, ...]]:
    """The separator, the names of the columns, and the nullable columns that are absent.

    Lines without anything before the header are passed over. The separator is the one by which the header
    holds most of the contract's columns.

    Raises:
        LandingError: there is no header, or its columns are not the contract's.
    """
    line = first_line(name, text)
    separator = separator_of(line, {column.name for column in columns_of(contract)}, _normal)
    header = normal_names(name, cells_of(line, separator))
    absent = check_columns(contract, name, header)
    return separator, header, absent


def first_line(name: str, text: Lines) -> str:
    """The first line that holds something, but for one by which a spreadsheet declares the separator.

    Raises:
        LandingError: there is none.
    """
    while line := text.readline(_LONGEST_HEADER):
        if len(line) == _LONGEST_HEADER:
            raise LandingError(f"{name}: its first line is longer than {_LONGEST_HEADER} characters")
        if line.strip() and not _DECLARED.fullmatch(line.strip()):
            return line
    raise LandingError(f"{name}: is empty; a day without rows is a header without rows")


def separator_of(line: str, known: AbstractSet[str], normal: Callable[[str], str]) -> str:
    """The separator by which the header names most of the columns that are known."""
    return max(SEPARATORS, key=lambda each: len(known & {normal(name) for name in cells_of(line, each)}))


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of one line; none when it cannot be read so."""
    try:
        return next(csv.reader([line], strict=True, delimiter=separator), [])
    except csv.Error:
        return []


def _normal(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip("\ufeff \t\r\n\xa0")).casefold()


def normal_names(file: str, names: Sequence[str]) -> list[str]:
    """Names of columns in small letters and without blanks, as the contracts have them.

    Raises:
        LandingError: two are the same then.
    """
    normal = [_normal(each) for each in names]
    for each, times in Counter(normal).items():
        if times > 1:
            raise LandingError(f"{file}: {_named(each, normal)} is there {times} times")
    return normal


def check_columns(contract: type[LandingRow], name: str, present: Sequence[str]) -> tuple[str, ...]:
    """Absent columns that may be null, or that messages tell.

    An unknown column, and an absent one that is required, are the file's end.

    Raises:
        LandingError: names the column.
    """
    columns = {column.name: column for column in columns_of(contract)}
    unknown = sorted(set(present) - set(columns))
    if unknown and len(unknown) == len(set(present)):
        # Perhaps a file without a header: its first line is somebody's row.
        raise LandingError(
            f"{name}: not one column of its header is in the contract of {contract.table} "
            f"(it has {', '.join(columns)})"
        )
    if unknown:
        raise LandingError(
            f"{name}: {_named(unknown[0], present)} is not in the contract of {contract.table} "
            f"(it has {', '.join(columns)})"
        )
    absent = tuple(column for column in columns if column not in present)
    told = contract.delivered.told if contract.delivered else ()
    required = [column for column in absent if not columns[column].nullable and column not in told]
    if required:
        raise LandingError(f"{name}: required column {required[0]} is missing")
    return absent


def _named(name: str, header: Sequence[str]) -> str:
    """A column by its name, or by its place where the name may be somebody's value."""
    if not name:
        return "column without a name"
    return f"column {column_name(name) or header.index(name) + 1}"
