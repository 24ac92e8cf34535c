"""How the schema of a table that exists becomes the one that the code writes."""

from __future__ import annotations

from collections.abc import Sequence

from google.cloud import bigquery

from loaders.warehouse.jobs import WarehouseError

_STANDARD_NAMES = {"INTEGER": "INT64", "BOOLEAN": "BOOL", "FLOAT": "FLOAT64"}
"""The API answers with legacy names for columns that were created with standard ones."""


def schema_changes(
    table_id: str, existing: Sequence[bigquery.SchemaField], wanted: Sequence[bigquery.SchemaField]
) -> tuple[list[bigquery.SchemaField], list[bigquery.SchemaField]]:
    """Columns to add to a table, and those that get more decimal places.

    Raises:
        WarehouseError: a column is of another type, or a new one is required: the rows there are have none.
    """
    present = {field.name: field for field in existing}
    added, finer = [], []
    for field in wanted:
        if field.name not in present:
            added.append(field)
        elif (present[field.name].field_type, field.field_type) == ("NUMERIC", "BIGNUMERIC"):
            finer.append(field)
        elif sql_type(present[field.name]) != sql_type(field):
            raise WarehouseError(
                f"{table_id}: column {field.name} is {present[field.name].field_type}, "
                f"this code writes {field.field_type}"
            )
    for field in added:
        if field.mode == "REQUIRED":
            raise WarehouseError(f"{table_id}: the new column {field.name} must be nullable")
    return added, finer


def sql_type(field: bigquery.SchemaField) -> str:
    """The column's type as GoogleSQL writes it."""
    name = _STANDARD_NAMES.get(field.field_type, field.field_type)
    if name in {"RECORD", "STRUCT"}:
        name = f"STRUCT<{', '.join(f'`{part.name}` {sql_type(part)}' for part in field.fields)}>"
    elif name == "NUMERIC":
        # Precision is spelled out because the embedded BigQuery's bare NUMERIC has three decimal places.
        name = "NUMERIC(38, 9)"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name
