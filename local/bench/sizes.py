"""What a day is made of: rows and bytes of every table on one day of a generated company.

Bytes are BigQuery's logical bytes (https://cloud.google.com/bigquery/pricing, "data size calculation"), which
a scan of the columns is charged by. Nested columns count as their JSON text, which is more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, warehouse_of
from local.bench.bigquery import empty_bigquery
from local.bench.floor import END, run_days
from local.company import CompanySpec, generate
from segue.settings import Settings
from segue.window import DAY

_FIXED: Final = {
    "INTEGER": 8, "INT64": 8, "FLOAT": 8, "FLOAT64": 8, "NUMERIC": 16, "BOOLEAN": 1, "BOOL": 1, "DATE": 8,
    "TIMESTAMP": 8,
}  # fmt: skip


@dataclass(frozen=True)
class TableSize:
    """A table's rows and logical bytes: of its partition of the day, or of all of it where it has no days."""

    dataset: str
    table: str
    partitioned_by: str | None
    rows_of_day: int
    bytes_of_day: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class SizesReport:
    """One company."""

    accounts: int
    days: int
    landing_file_bytes_of_day: int
    step_seconds: dict[str, float]
    tables: list[TableSize]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_sizes(
    settings: Settings, accounts: int = 20_000, days: int = 45, say: Callable[[str], None] = lambda _: None
) -> SizesReport:
    """Build all days but the last as one range, then the last as a daily run does, and look at that day."""
    spec = CompanySpec(accounts=accounts, days=days, seed=11, end_date=END)
    with empty_bigquery(settings) as emulator:
        world = emulator.model_copy(update={"history_start_date": spec.first_day})
        landing = world.state_dir / "gcs" / world.landing_uri.removeprefix("gs://")
        generate(spec, world.state_dir / "company", landing=landing)
        run_days(world, spec.first_day, END - DAY)
        run = run_days(world, END, END)
        say(f"{accounts:,} accounts: a day in {run.seconds:.1f} s")
        files = sum(_size(path) for path in landing.glob(f"*/{END}/*"))
        warehouse = warehouse_of(world)
        datasets = (world.raw_dataset, world.history_dataset, world.marts_dataset)
        tables = [size for dataset in datasets for size in _sizes(warehouse, dataset)]
    return SizesReport(accounts, days, files, run.steps, tables)


def _size(path: Path) -> int:
    return path.stat().st_size


def _sizes(warehouse: Warehouse, dataset: str) -> list[TableSize]:
    found = []
    project = warehouse.settings.project_id
    for item in warehouse.client.list_tables(f"{project}.{dataset}"):
        table = warehouse.client.get_table(item.reference)
        if table.table_type != "TABLE":
            continue
        day = table.time_partitioning.field if table.time_partitioning else None
        of_day = f"{day} = date '{END}'" if day and _is_date(table, day) else "true"
        size = " + ".join(_bytes_of(field) for field in table.schema)
        [row] = warehouse.run(
            f"select countif({of_day}) as rows_of_day, sum(if({of_day}, {size}, 0)) as bytes_of_day, "
            f"count(*) as all_rows, sum({size}) as all_bytes from `{project}.{dataset}.{table.table_id}`"
        )
        found.append(
            TableSize(
                dataset, table.table_id, day, int(row.rows_of_day), int(row.bytes_of_day or 0),
                int(row.all_rows), int(row.all_bytes or 0),
            )
        )  # fmt: skip
    return found


def _is_date(table: bigquery.Table, name: str) -> bool:
    return any(field.name == name and field.field_type == "DATE" for field in table.schema)


def _bytes_of(field: bigquery.SchemaField) -> str:
    """Logical bytes of a column's value, as SQL; a null has none."""
    name = f"`{field.name}`"
    if field.mode == "REPEATED" or field.field_type in ("RECORD", "STRUCT", "JSON"):
        return f"if({name} is null, 0, 2 + length(to_json_string({name})))"
    if field.field_type == "STRING":
        return f"coalesce(2 + length({name}), 0)"
    return f"if({name} is null, 0, {_FIXED[field.field_type]})"
