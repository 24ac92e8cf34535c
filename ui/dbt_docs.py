"""dbt's own documentation of the project, with a catalogue of the tables as they are.

Its page is one file that dbt brings, without anything of the internet; it asks for the manifest and for a
catalogue. dbt would make that by a run over one dataset; models of a run live in an audit dataset that is
gone when it is published, so it is made here from the published tables and from what landed.
https://schemas.getdbt.com/dbt/catalog/v1/index.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse
from loaders.warehouse.dbt_models import DbtProject

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'self'"
)


def docs_page() -> Path:
    """The page that dbt brings."""
    from dbt.task.docs import DOCS_INDEX_FILE_PATH

    return Path(DOCS_INDEX_FILE_PATH)


def docs_catalogue(warehouse: Warehouse, project: DbtProject) -> dict[str, Any]:
    """Columns, rows and bytes of every published and every landed table, in dbt's format.

    Raises:
        google.api_core.exceptions.GoogleAPIError: BigQuery did not answer.
    """
    settings = warehouse.settings
    published = {name: model.unique_id for name, model in project.models.items() if model.is_published}
    landed = {name: source.unique_id for name, source in project.sources.items()}
    nodes = {
        **_described(warehouse, settings.marts_dataset, published),
        **_described(warehouse, settings.history_dataset, published),
    }
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json",
            "generated_at": datetime.now(UTC).isoformat(),
        },
        "nodes": nodes,
        "sources": dict(_described(warehouse, settings.raw_dataset, landed)),
        "errors": None,
    }


def _described(warehouse: Warehouse, dataset: str, ids: dict[str, str]) -> dict[str, Any]:
    return {
        ids[table.table_id]: {
            "unique_id": ids[table.table_id],
            "metadata": {
                "type": "table",
                "database": table.project,
                "schema": table.dataset_id,
                "name": table.table_id,
                "comment": table.description,
                "owner": None,
            },
            "columns": {
                field.name: {
                    "name": field.name,
                    "index": index,
                    "type": field.field_type,
                    "comment": field.description,
                }
                for index, field in enumerate(table.schema, 1)
            },
            "stats": dict(_statistics(table)),
        }
        for table in warehouse.tables(dataset)
        if table.table_id in ids
    }


def _statistics(table: bigquery.Table) -> Iterator[tuple[str, Any]]:
    known = {
        "num_rows": ("# Rows", table.num_rows),
        "num_bytes": ("Approximate size", table.num_bytes),
        "partitioned_by": (
            "Partitioned by",
            table.time_partitioning.field if table.time_partitioning else None,
        ),
    }
    for name, (label, value) in known.items():
        yield (
            name,
            {"id": name, "label": label, "value": value, "include": value is not None, "description": label},
        )
    yield (
        "has_stats",
        {"id": "has_stats", "label": "Has Stats?", "value": True, "include": False, "description": ""},
    )
