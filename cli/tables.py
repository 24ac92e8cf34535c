"""Tables for people, in which an id is never cut."""

from __future__ import annotations

from typing import Any

from rich.table import Column, Table


def folding_table(*headers: str, **options: Any) -> Table:
    """A table whose cells go on in the next line where a narrow terminal ends: half an id is none."""
    return Table(*(Column(header, overflow="fold") for header in headers), **options)
