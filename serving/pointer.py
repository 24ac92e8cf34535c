"""Which generation is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from google.cloud.bigtable.data import Row, Table
from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    FamilyNameRegexFilter,
    RowFilterChain,
)

from segue.errors import SegueError
from serving import schema


class NothingPublishedError(SegueError):
    """No generation has been published into this table yet (or the emulator was restarted)."""

    code = "nothing_published"
    hint = "load a day first: `segue run` or the DAG offer_segments"
    exit_code = 6


@dataclass(frozen=True)
class Pointer:
    """The content of the pointer row."""

    generation_ms: int
    segment_date: date
    published_at: datetime


_FILTER = RowFilterChain(filters=[FamilyNameRegexFilter(schema.POINTER_FAMILY), CellsColumnLimitFilter(1)])


def read_pointer(table: Table, timeout_seconds: float = 10.0) -> Pointer | None:
    """The published generation, or ``None`` when there is none.

    Raises:
        google.api_core.exceptions.GoogleAPIError: the table is missing or not reachable in time.
    """
    row = _read(table, timeout_seconds)
    return None if row is None else parse_pointer({cell.qualifier: bytes(cell.value) for cell in row})


def parse_pointer(columns: Mapping[bytes, bytes]) -> Pointer | None:
    """The pointer in the columns of its row, or ``None`` when no generation is published."""
    if schema.POINTER_GENERATION not in columns:
        return None
    return Pointer(
        generation_ms=int.from_bytes(columns[schema.POINTER_GENERATION], "big"),
        segment_date=date.fromisoformat(columns[schema.POINTER_SEGMENT_DATE].decode()),
        published_at=datetime.fromisoformat(columns[schema.POINTER_PUBLISHED_AT].decode()),
    )


def read_loading(table: Table, timeout_seconds: float = 10.0) -> int | None:
    """The generation (milliseconds) of the loader that started last, or ``None``."""
    row = _read(table, timeout_seconds)
    if row is None:
        return None
    columns = {cell.qualifier: bytes(cell.value) for cell in row}
    value = columns.get(schema.POINTER_LOADING)
    return None if value is None else int.from_bytes(value, "big")


def _read(table: Table, timeout_seconds: float) -> Row | None:
    return table.read_row(schema.POINTER_ROW_KEY, row_filter=_FILTER, operation_timeout=timeout_seconds)
