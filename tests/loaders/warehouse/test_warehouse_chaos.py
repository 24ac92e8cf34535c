"""Whatever the network and a busy BigQuery do: tables end as if nothing had happened, nothing is there twice.

``SEGUE_SOAK_SEEDS`` runs more seeds than the few that every test run has time for (``make soak``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import append_rows
from runs.publish import publish
from runs.published import PublishedMart
from segue.settings import Settings
from segue.window import RunWindow
from tests.bigquery_process import BigQueryEmulator
from tests.bigquery_proxy import BigQueryProxy, chaos
from tests.judged import let_through

SEEDS = range(int(os.environ.get("SEGUE_SOAK_SEEDS", "1")))
D1, D2 = date(2026, 3, 1), date(2026, 3, 2)
MARTS = [
    PublishedMart("fct_daily", "snapshot_date", 0, "A row per day."),
    PublishedMart("fct_other", "snapshot_date", 1, "Restates a day more."),
]
NUMBER = [bigquery.SchemaField("n", "INTEGER")]
ROW = [bigquery.SchemaField("snapshot_date", "DATE"), bigquery.SchemaField("known", "STRING")]


def work(settings: Settings) -> None:
    """Every way of writing that there is, and a publication; nothing of it may be done twice."""
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset("d")
    counted = warehouse.table("d", "counted")
    warehouse.ensure_table(counted, NUMBER)
    for n in range(5):
        warehouse.run(f"insert into `{counted}` values ({n})")
    warehouse.run(
        f"begin transaction; insert into `{counted}` select n + 100 from `{counted}`; "
        f"update `{counted}` set n = n + 1 where n >= 100; commit transaction;"
    )
    _load(warehouse)
    _publish(warehouse)
    warehouse.expire_table(counted, datetime(2100, 1, 1, tzinfo=UTC))
    warehouse.ensure_table(counted, [*NUMBER, bigquery.SchemaField("more", "STRING", description="wider")])


def _load(warehouse: Warehouse) -> None:
    settings = warehouse.settings
    folder = Path(str(settings.landing_files_uri).removeprefix("file://"))
    pq.write_table(pa.table({"n": list(range(1000))}), folder / "rows.parquet")
    loaded = warehouse.table("d", "loaded")
    job = warehouse.begin_load(
        f"{settings.landing_uri}/rows.parquet", loaded, NUMBER, datetime.now(UTC) + timedelta(days=1)
    )
    warehouse.finish_load(job)
    letter = {"run_date": D1, "generation_ms": 1, "shard": 0, "account_id": "a", "code": "INVALID_ROW"}
    append_rows(warehouse, "dead_letters", [letter] * 3)


def _publish(warehouse: Warehouse) -> None:
    settings = warehouse.settings
    window = RunWindow.whole(settings, D1, D2).new_attempt(settings, "")
    warehouse.ensure_dataset(window.audit_dataset)
    for mart in MARTS:
        audited = warehouse.table(window.audit_dataset, mart.name)
        warehouse.ensure_table(audited, ROW, partition_field="snapshot_date")
        warehouse.run(
            f"delete from `{audited}` where true; insert into `{audited}` select day, 'new' "
            f"from unnest(generate_date_array('2026-02-28', '2026-03-02')) as day;"
        )
    let_through(settings, window, MARTS)
    publish(settings, window, MARTS)


def outcome(settings: Settings) -> dict[str, Any]:
    """What is in the tables, without ids and times."""
    warehouse = warehouse_of(settings)
    asked = {
        "counted": "select n from `d.counted` order by n",
        "loaded": "select count(*) as n, sum(n) as total from `d.loaded`",
        "daily": "select * from `marts.fct_daily` order by snapshot_date, known",
        "other": "select * from `marts.fct_other` order by snapshot_date, known",
        "letters": "select count(*) as n from `ops.dead_letters`",
        "publications": "select mart, partition_date, row_count, count(*) as times "
        "from `ops.publications` group by 1, 2, 3 order by 1, 2, 3",
    }
    found = {name: warehouse.fetch_arrow(sql).to_pylist() for name, sql in asked.items()}
    return found | {"columns": [field.name for field in warehouse.columns(warehouse.table("d", "counted"))]}


@pytest.fixture(scope="module")
def undisturbed(world: Callable[..., Settings]) -> dict[str, Any]:
    settings = world("undisturbed")
    work(settings)
    return outcome(settings)


@pytest.mark.parametrize("seed", SEEDS)
def test_under_every_fault_all_tables_end_as_if_nothing_had_happened(
    seed: int,
    undisturbed: dict[str, Any],
    world: Callable[..., Settings],
    bigquery_emulator: BigQueryEmulator,
) -> None:
    proxy = BigQueryProxy(bigquery_emulator.rest_endpoint, chaos(seed), late_seconds=0.6)
    settings = world("chaos", bigquery_endpoint=proxy.address, bigquery_request_seconds=0.5)
    try:
        work(settings)
    finally:
        proxy.close()
    directly = settings.model_copy(update={"bigquery_endpoint": bigquery_emulator.rest_endpoint})
    assert outcome(directly) == undisturbed
    assert len(proxy.happened) >= 5, proxy.happened
