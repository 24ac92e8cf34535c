"""Questions about all accounts that Bigtable answers itself: only the rows asked for cross the network."""

from __future__ import annotations

from collections.abc import Iterator

from google.cloud.bigtable.data import ReadRowsQuery, RowRange, Table
from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    ColumnQualifierRegexFilter,
    FamilyNameRegexFilter,
    RowFilter,
    RowFilterChain,
    StripValueTransformerFilter,
    ValueRangeFilter,
)

from serving import schema
from serving.row_key import AFTER_ACCOUNT_KEYS, FIRST_ACCOUNT_KEY

# Every payload starts with a tag byte above zero, so the values below "\x00" are exactly the empty ones.
_TOMBSTONE = ValueRangeFilter(end_value=b"\x00", inclusive_end=False)
_PAYLOAD = ValueRangeFilter(start_value=b"\x00")
_OPERATION_TIMEOUT_SECONDS = 2 * 60 * 60.0


def payloads_of(table: Table, generation: int) -> Iterator[tuple[bytes, bytes]]:
    """(row key, payload) of every account that ``generation`` shows with a cell of its own."""
    filters = [schema.visible_at(generation), schema.written_between(generation, generation), _PAYLOAD]
    for row in table.read_rows_stream(
        _accounts(RowFilterChain(filters=filters)), operation_timeout=_OPERATION_TIMEOUT_SECONDS
    ):
        yield row.row_key, bytes(row.cells[0].value)


def leftovers_from_before(table: Table, generation: int) -> Iterator[bytes]:
    """Keys of accounts that ``generation`` would show, but with a cell of an older one."""
    return _keys(table, schema.visible_at(generation), schema.written_between(None, generation - 1), _PAYLOAD)


def written_in(table: Table, generation: int) -> Iterator[bytes]:
    """Keys of accounts that hold a cell of exactly this generation, visible or not."""
    return _keys(
        table,
        FamilyNameRegexFilter(schema.OFFERS_FAMILY),
        ColumnQualifierRegexFilter(schema.OFFERS_QUALIFIER),
        schema.written_between(generation, generation),
        CellsColumnLimitFilter(1),
    )


def removed_by(table: Table, generation: int) -> Iterator[bytes]:
    """Keys of accounts for which ``generation`` shows a tombstone."""
    return _keys(table, schema.visible_at(generation), _TOMBSTONE)


def _keys(table: Table, *filters: RowFilter) -> Iterator[bytes]:
    query = _accounts(RowFilterChain(filters=[*filters, StripValueTransformerFilter(True)]))
    for row in table.read_rows_stream(query, operation_timeout=_OPERATION_TIMEOUT_SECONDS):
        yield row.row_key


def _accounts(row_filter: RowFilter) -> ReadRowsQuery:
    accounts = RowRange(start_key=FIRST_ACCOUNT_KEY, end_key=AFTER_ACCOUNT_KEYS)
    return ReadRowsQuery(row_ranges=accounts, row_filter=row_filter)
