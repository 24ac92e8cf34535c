"""Tables for people, in which an id is never cut."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Column, Table
from rich.text import Text

_VALUE_CHARACTERS: Final = 12
"""Of a longer value, what stands in one line at least: a day, or most of an id."""

_BETWEEN: Final = 3


def folding_table(*headers: str, **options: Any) -> Table:
    """A table whose cells go on in the next line where a narrow terminal ends: half an id is none."""
    return Table(*(Column(header, overflow="fold") for header in headers), **options)


def side_by_side_or_below(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int, numbers: Collection[int] = ()
) -> RenderableType:
    """A table where ``width`` has room for its columns, else every row as lines of names and values.

    ``numbers``: places of the columns that are flush right.
    """
    needed = [
        max(len(header), *(min(len(row[place]), _VALUE_CHARACTERS) for row in rows), 0)
        for place, header in enumerate(headers)
    ]
    if sum(needed) + _BETWEEN * len(headers) - 1 <= width:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, header in enumerate(headers):
            justify: JustifyMethod = "right" if place in numbers else "left"
            table.add_column(header, justify=justify, overflow="fold", min_width=needed[place])
        for row in rows:
            table.add_row(*map(Text, row))
        return table
    below: list[RenderableType] = []
    for number, row in enumerate(rows, start=1):
        lines = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2), pad_edge=True)
        for header, value in zip(headers, row, strict=True):
            lines.add_row(Text(header), Text(value))
        below += [Text(f"row {number}"), lines]
    return Group(*below)
