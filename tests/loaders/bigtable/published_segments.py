"""A published ``offer_segments`` in BigQuery, filled by hand."""

from __future__ import annotations

import io
import json
from datetime import date
from typing import Any

from google.cloud import bigquery

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings

OFFER = """struct<offer_id string, rule_id string, rule_version int64, priority int64, score float64,
    reason_code string, experiment_id string, variant string, is_control bool, content_id string,
    content_version int64, valid_until_at timestamp, content_locale string>"""


def create_mart(settings: Settings) -> None:
    """The empty mart."""
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset(settings.marts_dataset)
    warehouse.run(
        f"""create table `{settings.project_id}.marts.offer_segments` (
            segment_date date, account_id string, market string, offers array<{OFFER}>,
            held_back array<{OFFER}>, suppressed_reason string, valid_until_at timestamp
        ) partition by segment_date cluster by account_id""",
    )


def publish(settings: Settings, day: date, *rows: dict[str, Any]) -> None:
    """Puts rows into the published mart as a load job."""
    warehouse = warehouse_of(settings)
    table_id = f"{settings.project_id}.marts.offer_segments"
    lines = "\n".join(json.dumps(row | {"segment_date": day}, default=str) for row in rows)
    warehouse.client.load_table_from_file(
        io.BytesIO(lines.encode()),
        table_id,
        job_config=bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            schema=warehouse.client.get_table(table_id).schema,
        ),
    ).result(timeout=30)
