"""The generated company's events, told by its providers, landed and staged, are the events that happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow.parquet as pq
import pytest

from loaders.landing.contracts import CONTRACTS, EVENT_TABLES, SubscriptionEvent
from loaders.landing.land import land_days
from loaders.landing.subjects import names_in
from local.company import CompanySpec, generate
from local.company.providers import EVENT_TABLE
from segue.settings import Settings
from tests.dbt.conftest import Warehouse

SPEC = CompanySpec(accounts=300, days=14, seed=3, end_date=date(2026, 3, 31))
STAGED = {
    "interval": "billing_interval",
    "interval_count": "billing_interval_count",
    "auto_renew": "is_auto_renew",
}
"""The columns that staging names otherwise than the landing contract."""
COLUMNS = [column for column in SubscriptionEvent.model_fields if not column.startswith("export_")]
"""What an event says; from which export it is, is no part of that."""

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def landed(
    dbt_world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Warehouse, Path]:
    """A warehouse with the company's events, and the folder of its truth."""
    warehouse = Warehouse(dbt_world("round-trip", dbt_threads=2))
    out = tmp_path_factory.mktemp("company")
    manifest = generate(SPEC, out, landing=Path(urlparse(warehouse.settings.landing_files_root).path))
    days = [SPEC.first_day + timedelta(days=n) for n in range(SPEC.days)]
    landings = land_days(warehouse.settings, days, [*EVENT_TABLES, "plans"])
    for table in EVENT_TABLES:
        known = manifest.quarantined.get(table, {})
        refused = {
            str(landing.day): landing.rows_quarantined for landing in landings if landing.table == table
        }
        assert {day: rows for day, rows in refused.items() if rows} == dict(known)
    return warehouse, out


def happened(out: Path, provider: str) -> Rows:
    """The truth's events of a provider, without those that landing must refuse."""
    table = pq.read_table(out / "truth/subscription_events.parquet")
    return [
        tuple(row[column] for column in COLUMNS)
        for row in table.to_pylist()
        if row["provider"] == provider and not row["provider_event_id"].endswith(("-novel", "-backwards"))
    ]


def test_every_provider_tells_what_happened(landed: tuple[Warehouse, Path]) -> None:
    warehouse, out = landed
    dataset = warehouse.build(
        str(SPEC.first_day), str(SPEC.end_date),
        select=["path:models/staging/*/stg_*__subscription_events.sql", "stg_billing__plan_versions"],
    )  # fmt: skip
    columns = ", ".join(STAGED.get(column, column) for column in COLUMNS)

    for provider in EVENT_TABLE:
        found = warehouse.query(f"select {columns} from {dataset}.stg_{provider}__subscription_events")
        staged = [tuple(row.values()) for row in found]
        assert len(staged) > 50
        assert sorted(staged, key=repr) == sorted(happened(out, provider), key=repr), provider


@pytest.mark.parametrize("table", [table for table in EVENT_TABLES if names_in(CONTRACTS[table])])
def test_an_erasure_knows_a_notification_by_the_ids_that_staging_reads(
    landed: tuple[Warehouse, Path], table: str
) -> None:
    warehouse, out = landed
    provider = next(provider for provider, told_in in EVENT_TABLE.items() if told_in == table)
    places = [COLUMNS.index(each) for each in ("provider_event_id", "account_id", "subscription_id")]
    ids = {row[places[0]]: (row[places[1]], row[places[2]]) for row in happened(out, provider)}
    key, names = CONTRACTS[table].key[0], names_in(CONTRACTS[table])
    selected = ", ".join(f"to_json_string({column}) as {column}" for column in names)

    for row in warehouse.query(f"select {key} as id, {selected} from raw.{table}"):
        account, subscription = ids[row.id]
        payloads = [(named, json.loads(row[column] or "null")) for column, named in names.items()]
        found = {(each.kind, each.read(payload)) for named, payload in payloads for each in named}
        assert {("account", account), ("subscription", subscription)} <= found, row.id
