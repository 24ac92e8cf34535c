"""Reads the published segments of one day, a record batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import pyarrow as pa
from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession

from loaders.bigtable.errors import LoadCode, LoadError
from segue.settings import Settings

SEGMENTS_TABLE: Final = "offer_segments"
_COLUMNS: Final = ("account_id", "offers", "suppressed_reason", "valid_until_at", "market")
_TIMEOUT_SECONDS: Final = 60.0


def read_segments(settings: Settings, segment_date: date) -> Iterator[pa.RecordBatch]:
    """The rows of the day's published partition; memory holds one batch, whatever the size of the day.

    Raises:
        LoadError: ``SOURCE``: the table is missing or BigQuery does not answer.
    """
    from loaders.warehouse.client import read_client

    client = read_client(settings)
    table = f"projects/{settings.project_id}/datasets/{settings.marts_dataset}/tables/{SEGMENTS_TABLE}"
    try:
        session = client.create_read_session(
            parent=f"projects/{settings.project_id}",
            read_session=ReadSession(
                table=table,
                data_format=DataFormat.ARROW,
                read_options=ReadSession.TableReadOptions(
                    selected_fields=list(_COLUMNS), row_restriction=f"segment_date = '{segment_date}'"
                ),
            ),
            max_stream_count=1,
            timeout=_TIMEOUT_SECONDS,
        )
        for stream in session.streams:
            for page in client.read_rows(stream.name).rows(session).pages:
                yield page.to_arrow()
    except GoogleAPIError as error:
        raise LoadError(LoadCode.SOURCE, f"cannot read {table} of {segment_date}: {error}") from error


def latest_segment_date(settings: Settings) -> date | None:
    """The newest day with published segments, or ``None``.

    Raises:
        LoadError: ``SOURCE``: the table is missing or BigQuery does not answer.
    """
    from loaders.warehouse.client import bigquery_client

    sql = (
        f"select max(segment_date) as segment_date"
        f" from `{settings.project_id}.{settings.marts_dataset}.{SEGMENTS_TABLE}`"
        f" where segment_date >= date '{settings.history_start_date}'"
    )
    try:
        rows = (
            bigquery_client(settings).query(sql, bigquery.QueryJobConfig()).result(timeout=_TIMEOUT_SECONDS)
        )
        found: date | None = next(iter(rows)).segment_date
    except GoogleAPIError as error:
        raise LoadError(LoadCode.SOURCE, f"cannot find the newest segments: {error}") from error
    return found
