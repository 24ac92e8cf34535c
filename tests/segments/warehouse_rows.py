"""Rows of the decisions' inputs as tables of the embedded BigQuery."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from loaders.warehouse.client import warehouse_of
from segments.features import FEATURES
from segue.settings import Settings

_ARROW = {"number": pa.int64(), "text": pa.string(), "flag": pa.bool_(), "date": pa.date32()}
_EXPOSURE = pa.struct(
    [
        ("offer_id", pa.string()),
        ("impressions_7d", pa.int64()),
        ("impressions_28d", pa.int64()),
        ("last_shown_date", pa.date32()),
        ("last_clicked_date", pa.date32()),
        ("last_converted_date", pa.date32()),
    ]
)
_SCORE = pa.struct([("model", pa.string()), ("score_points", pa.int64()), ("scored_date", pa.date32())])
_TIME = pa.timestamp("us", "UTC")
FEATURE_ROWS = pa.schema(
    [
        ("feature_date", pa.date32()),
        ("account_id", pa.string()),
        *((name, _ARROW[kind]) for name, kind in FEATURES.items()),
        ("is_test_account", pa.bool_()),
        ("is_deletion_requested", pa.bool_()),
        ("is_marketing_withdrawn", pa.bool_()),
        ("is_personalisation_withdrawn", pa.bool_()),
        ("offer_exposures", pa.list_(_EXPOSURE)),
        ("model_scores", pa.list_(_SCORE)),
    ]
)
CONTENT_ROWS = pa.schema(
    [
        ("feature_date", pa.date32()),
        ("entry_id", pa.string()),
        ("locale", pa.string()),
        ("content_version", pa.int64()),
        ("is_published", pa.bool_()),
        ("valid_from_at", _TIME),
        ("valid_until_at", _TIME),
    ]
)
_SQL = {
    pa.int64(): "int64", pa.string(): "string", pa.bool_(): "bool", pa.date32(): "date", _TIME: "timestamp",
}  # fmt: skip


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"array<{_sql_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name} {_sql_type(field.type)}' for field in kind)}>"
    return _SQL[kind]


def write_table(
    settings: Settings, dataset: str, table: str, schema: pa.Schema, rows: Sequence[dict[str, Any]]
) -> str:
    """Make ``dataset.table`` of these rows, through a Parquet file as every load; returns its quoted name."""
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset(dataset)
    name = f"{settings.project_id}.{dataset}.{table}"
    columns = ", ".join(f"{field.name} {_sql_type(field.type)}" for field in schema)
    warehouse.run(f"create or replace table `{name}` ({columns})")
    if rows:
        file = f"{table}-{uuid4().hex}.parquet"
        folder = Path(urlparse(settings.landing_files_root).path)
        pq.write_table(pa.Table.from_pylist(list(rows), schema), folder / file)
        job = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
        warehouse.client.load_table_from_uri(f"{settings.landing_uri}/{file}", name, job_config=job).result()
    return f"`{name}`"
