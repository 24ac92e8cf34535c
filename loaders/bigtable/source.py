"""Reads the published segments of one day, a record batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import pyarrow as pa
from google.api_core.exceptions import GoogleAPIError

from loaders.bigtable.errors import LoadCode, LoadError
from loaders.warehouse.client import WarehouseError, bigquery_client, read_table, run
from segue.settings import Settings

SEGMENTS_TABLE: Final = "offer_segments"
_COLUMNS: Final = ("account_id", "offers", "suppressed_reason", "valid_until_at", "market")


def read_segments(settings: Settings, segment_date: date) -> Iterator[pa.RecordBatch]:
    """The rows of the day's published partition; memory holds one batch, whatever the size of the day.

    Raises:
        LoadError: ``SOURCE``: the table is missing or BigQuery does not answer.
    """
    table_id = _table_id(settings)
    try:
        yield from read_table(settings, table_id, _COLUMNS, f"segment_date = '{segment_date}'")
    except (GoogleAPIError, WarehouseError) as error:
        raise LoadError(LoadCode.SOURCE, f"cannot read {table_id} of {segment_date}: {error}") from error


def latest_segment_date(settings: Settings) -> date | None:
    """The newest day with published segments, or ``None``.

    Raises:
        LoadError: ``SOURCE``: the table is missing or BigQuery does not answer.
    """
    sql = (
        f"select max(segment_date) as segment_date from `{_table_id(settings)}`"
        f" where segment_date >= date '{settings.history_start_date}'"
    )
    try:
        rows = run(bigquery_client(settings), sql, settings=settings)
        found: date | None = next(iter(rows)).segment_date
    except (GoogleAPIError, WarehouseError) as error:
        raise LoadError(LoadCode.SOURCE, f"cannot find the newest segments: {error}") from error
    return found


def _table_id(settings: Settings) -> str:
    return f"{settings.project_id}.{settings.marts_dataset}.{SEGMENTS_TABLE}"
