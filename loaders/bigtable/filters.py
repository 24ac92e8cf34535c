"""Filters of the offers table: which cells a generation shows, and which it wrote."""

from __future__ import annotations

from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    ColumnQualifierRegexFilter,
    FamilyNameRegexFilter,
    RowFilter,
    RowFilterChain,
    TimestampRangeFilter,
)

from segue_client.bigtable import schema
from segue_client.instants import instant


def written_between(first: int | None, last: int | None) -> RowFilter:
    """Keeps cells of generations in [first, last] milliseconds; ``None`` leaves that side open."""
    start = None if first is None else instant(first)
    # the end of a timestamp range is exclusive
    end = None if last is None else instant(last + 1)
    return TimestampRangeFilter(start=start, end=end)


def visible_at(generation: int) -> RowFilterChain:
    """The reader's filter: of each account the one cell that ``generation`` (milliseconds) shows.

    The same as ``segue_client.bigtable.read_rows.offers_request`` asks for.
    """
    return RowFilterChain(
        filters=[
            FamilyNameRegexFilter(schema.OFFERS_FAMILY),
            ColumnQualifierRegexFilter(schema.OFFERS_QUALIFIER),
            written_between(None, generation),
            CellsColumnLimitFilter(1),
        ]
    )
