"""Beyond one machine: BigQuery writes a generation's cells itself, with EXPORT DATA to Bigtable.

Only the cells: manifests, verification and the pointer stay the loader's, which reads the result back. What
the statement needs of its surroundings is in ``docs/scale.md``.
https://cloud.google.com/bigquery/docs/export-to-bigtable
"""

from __future__ import annotations

import json
from datetime import date

from google.api_core.exceptions import GoogleAPIError

from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.payload_sql import Columns, hex_sql, payload_steps
from loaders.bigtable.rows import MESSAGE, ROW_KEY, TAIL_BYTES, TAIL_FIELDS, tail
from loaders.warehouse.client import WarehouseError, warehouse_of
from segue.settings import Settings
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import MAX_ROW_KEY_BYTES


def cells_sql(staged: str, columns: Columns, segment_date: date, generation: int) -> str:
    """Row keys, payloads and timestamps of the staged rows (a table's full name) that keep every limit.

    Raises:
        UnknownColumnError: a field of the payload has no column that fits.
    """
    names = ", ".join(column.name for column in columns)
    kept = (
        f"select {names} from `{staged}`\n"
        "where account_id <> '' and coalesce(suppressed_reason, 'none') <> '' "
        f"and byte_length({ROW_KEY}) <= {MAX_ROW_KEY_BYTES}"
    )
    steps = [("kept", kept), *payload_steps(MESSAGE, columns, "kept", [ROW_KEY], "contents", TAIL_FIELDS)]
    listed = ",\n".join(f"{name} as (\n{query}\n)" for name, query in steps)
    payload = f"from_hex(concat(message, {hex_sql(tail(segment_date, generation))}))"
    return (
        f"with {listed}\nselect {ROW_KEY} as rowkey, "
        f"struct({payload} as {schema.OFFERS_QUALIFIER.decode()}) as {schema.OFFERS_FAMILY}, "
        f"timestamp_millis({generation}) as _CHANGE_TIMESTAMP\n"
        f"from contents where length(message) <= {2 * (schema.MAX_VALUE_BYTES - TAIL_BYTES)}"
    )


def export_sql(settings: Settings, staged: str, columns: Columns, segment_date: date, generation: int) -> str:
    """The whole statement; raises as ``cells_sql``."""
    instance = f"projects/{settings.project_id}/instances/{settings.bigtable_instance}"
    uri = (
        f"https://bigtable.googleapis.com/{instance}/appProfiles/{settings.bigtable_load_app_profile}"
        f"/tables/{settings.bigtable_table}"
    )
    options = {
        "columnFamilies": [
            {
                "familyId": schema.OFFERS_FAMILY,
                "encoding": "BINARY",
                "columns": [
                    {
                        "qualifierString": schema.OFFERS_QUALIFIER.decode(),
                        "fieldName": schema.OFFERS_QUALIFIER.decode(),
                    }
                ],
            }
        ]
    }
    return (
        "export data options (\n"
        "format = 'CLOUD_BIGTABLE', overwrite = true, auto_create_column_families = false,\n"
        f"uri = '{uri}',\n"
        f"bigtable_options = '''{json.dumps(options)}'''\n"
        f") as\n{cells_sql(staged, columns, segment_date, generation)}"
    )


def export_cells(settings: Settings, staged: str, segment_date: date, generation: int) -> None:
    """Has BigQuery write the cells of a generation; writing them again gives the same cells.

    Raises:
        LoadError: ``SOURCE``: BigQuery refused the statement or did not end in time.
    """
    warehouse = warehouse_of(settings)
    try:
        columns = warehouse.columns(staged)
        warehouse.run(export_sql(settings, staged, columns, segment_date, generation))
    except (GoogleAPIError, WarehouseError) as error:
        raise LoadError(LoadCode.SOURCE, f"BigQuery did not export the generation: {error}") from error
