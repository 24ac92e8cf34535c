"""The pointer row as loaders read it, and the only two writes that readers notice: to publish, to go back.

Both writes are one CheckAndMutateRow on the pointer row, so that whoever comes second sees it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from google.cloud.bigtable.data import Mutation, Row, SetCell, Table
from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    ColumnQualifierRegexFilter,
    FamilyNameRegexFilter,
    RowFilter,
    RowFilterChain,
    RowFilterUnion,
    ValueRangeFilter,
)

from segue_client.bigtable import schema
from segue_client.bigtable.pointer import Pointer, parse_pointer

_WHOLE_ROW = RowFilterChain(filters=[FamilyNameRegexFilter(schema.POINTER_FAMILY), CellsColumnLimitFilter(1)])


def read_pointer(table: Table, timeout_seconds: float = 10.0) -> Pointer | None:
    """The published generation, or ``None`` when there is none.

    Raises:
        google.api_core.exceptions.GoogleAPIError: the table is missing or not reachable in time.
    """
    row = _read(table, timeout_seconds)
    return None if row is None else parse_pointer({cell.qualifier: bytes(cell.value) for cell in row})


def read_loading(table: Table, timeout_seconds: float = 10.0) -> int | None:
    """The generation (milliseconds) of the loader that started last, or ``None``."""
    row = _read(table, timeout_seconds)
    if row is None:
        return None
    columns = {cell.qualifier: bytes(cell.value) for cell in row}
    value = columns.get(schema.POINTER_LOADING)
    return None if value is None else int.from_bytes(value, "big")


def _read(table: Table, timeout_seconds: float) -> Row | None:
    return table.read_row(schema.POINTER_ROW_KEY, row_filter=_WHOLE_ROW, operation_timeout=timeout_seconds)


def claim(table: Table, generation: int) -> None:
    """Makes the load of ``generation`` the only one that may publish; loads that started before may not.

    Raises:
        google.api_core.exceptions.GoogleAPIError: Bigtable did not take it.
    """
    table.mutate_row(
        schema.POINTER_ROW_KEY,
        _set(schema.POINTER_LOADING, schema.generation_value(generation)),
    )


def publish(table: Table, generation: int) -> bool:
    """Moves the pointer up to ``generation`` if it is older and this load still holds the claim.

    Returns:
        False when the pointer is already there or further, or another load claimed in between.

    Raises:
        google.api_core.exceptions.GoogleAPIError: unknown whether it moved; read the pointer.
    """
    new = schema.generation_value(generation)
    blocked: RowFilter = RowFilterUnion(
        filters=[
            _column(schema.POINTER_GENERATION, ValueRangeFilter(start_value=new)),
            _column(schema.POINTER_LOADING, ValueRangeFilter(end_value=new, inclusive_end=False)),
            _column(schema.POINTER_LOADING, ValueRangeFilter(start_value=new, inclusive_start=False)),
        ]
    )
    return not table.check_and_mutate_row(
        schema.POINTER_ROW_KEY, blocked, false_case_mutations=_move_to(generation)
    )


def go_back(table: Table, expected: int, generation: int) -> bool:
    """Moves the pointer from ``expected`` to ``generation``, and revokes the claim of a running load.

    Returns:
        False when the pointer was not at ``expected``.

    Raises:
        google.api_core.exceptions.GoogleAPIError: unknown whether it moved; read the pointer.
    """
    value = schema.generation_value(expected)
    return bool(
        table.check_and_mutate_row(
            schema.POINTER_ROW_KEY,
            _column(schema.POINTER_GENERATION, ValueRangeFilter(start_value=value, end_value=value)),
            true_case_mutations=[
                *_move_to(generation),
                # a load that is running would publish over the decision of a person
                _set(schema.POINTER_LOADING, schema.generation_value(generation)),
            ],
        )
    )


def _move_to(generation: int) -> list[Mutation]:
    return [
        _set(schema.POINTER_GENERATION, schema.generation_value(generation)),
        _set(schema.POINTER_SEGMENT_DATE, schema.segment_date_of(generation).isoformat().encode()),
        _set(schema.POINTER_PUBLISHED_AT, datetime.now(UTC).isoformat(timespec="milliseconds").encode()),
    ]


def _set(qualifier: bytes, value: bytes) -> SetCell:
    return SetCell(schema.POINTER_FAMILY, qualifier, value, timestamp_micros=0)


def _column(qualifier: bytes, condition: RowFilter) -> RowFilterChain:
    return RowFilterChain(
        filters=[
            FamilyNameRegexFilter(schema.POINTER_FAMILY),
            ColumnQualifierRegexFilter(qualifier),
            CellsColumnLimitFilter(1),
            condition,
        ]
    )
