"""The providers' staging views, built once; each test lands literal notifications and reads them back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from loaders.landing.batch import Batch
from loaders.landing.check import split
from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import arrow_schema
from segue.settings import Settings
from tests.dbt.conftest import Row, Warehouse, at, plan

ARRIVED = at("2026-03-10 12:00")
_LINEAGE = ("provider", "provider_event_id", "occurred_at", "ingested_at", "arrival_date")


class Staging:
    """Lands notifications of one table under ids of their own and returns what staging makes of them."""

    def __init__(self, settings: Settings) -> None:
        self.warehouse = Warehouse(settings)
        self.warehouse.land(
            "plans",
            [
                plan("solo", "individual", "month"),
                plan("home", "family", "year"),
                plan("lunar", "individual", "week", count=4),
                # Of Google Play's products each base plan is one.
                plan("duo:monthly", "duo", "month"),
                plan("duo:yearly", "duo", "year"),
                plan("duo:prepaid-90", "duo", "month", count=3),
            ],
        )
        self.dataset = self.warehouse.build(
            "2026-03-01", "2026-03-31", select=["path:models/staging/*/stg_*__subscription_events.sql",
                                                "stg_billing__plan_versions"],
        )  # fmt: skip
        self._numbers = iter(range(10**6))

    def events(self, provider: str, notifications: dict[str, Row]) -> dict[str, Row]:
        """By the names of ``notifications``: what staging says, without nulls and without the lineage.

        A notification is the columns that hold JSON, as objects; one that means nothing has no event.
        """
        table, id_column = TABLES[provider]
        prefix = f"{next(self._numbers)}:"
        self.warehouse.land(
            table,
            [row_of(table, content, **{id_column: prefix + name}) for name, content in notifications.items()],
        )
        found = self.warehouse.query(
            f"select * from {self.dataset}.stg_{provider}__subscription_events "
            f"where starts_with(provider_event_id, '{prefix}')"
        )
        return {row.provider_event_id.removeprefix(prefix): _said(provider, dict(row)) for row in found}


TABLES = {
    "google_play": ("google_play_notifications", "message_id"),
    "app_store": ("app_store_notifications", "notification_uuid"),
    "stripe": ("stripe_events", "event_id"),
}


def row_of(table: str, content: Row, **columns: Any) -> Row:
    """A row of a landing table: objects as their JSON text, times filled in."""
    row = {"occurred_at": at("2026-03-10 11:00"), "ingested_at": ARRIVED} | columns
    for name, value in content.items():
        row[name] = json.dumps(value) if isinstance(value, dict) else value
    assert set(row) <= set(CONTRACTS[table].model_fields)
    return row


def _said(provider: str, row: Row) -> Row:
    assert row["provider"] == provider
    assert (row["occurred_at"], row["ingested_at"]) == (at("2026-03-10 11:00"), ARRIVED)
    said = {name: value for name, value in row.items() if value is not None and name not in _LINEAGE}
    assert (said.pop("landing_file"), said.pop("landing_row") >= 0) == ("literal", True)
    for name, value in said.items():
        if isinstance(value, Decimal):
            said[name] = max(f"{value:.2f}", f"{value.normalize():f}", key=len)
        elif name.endswith("_at"):
            said[name] = value.strftime("%Y-%m-%d %H:%M:%S")
    return said


def refusals(provider: str, content: Row) -> list[tuple[str, str]]:
    """(column, reason) with which landing quarantines the notification; the payload is kept."""
    table, id_column = TABLES[provider]
    contract = CONTRACTS[table]
    row = row_of(table, content, **{id_column: "id"})
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
    rows = pa.Table.from_pylist([row], schema=schema)
    batch = Batch(rows, pa.array([7], pa.int64()))
    accepted, refused = split(contract, batch, date(2026, 3, 10), "folder/file.parquet")
    assert accepted.num_rows + len(refused) == 1
    for refusal in refused:
        assert (refusal.file, refusal.row) == ("folder/file.parquet", 7)
        assert json.loads(refusal.payload)["payload"] == row["payload"]
    return [(refusal.column, refusal.reason) for refusal in refused]


@pytest.fixture(scope="session")
def staging(dbt_world: Callable[..., Settings]) -> Staging:
    """The staging views over empty raw tables and a small catalogue."""
    return Staging(dbt_world("providers", dbt_threads=2))
