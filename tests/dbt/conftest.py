"""A warehouse with literal raw rows, built by the real dbt project on the embedded BigQuery."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import bigquery_schema, columns_of
from loaders.warehouse.client import warehouse_of
from runs.dbt import build
from segue.settings import Settings
from segue.window import RunWindow

Row = dict[str, Any]


def at(text: str) -> datetime:
    """``'2026-03-01 10:00'`` as a UTC time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(text: str) -> date:
    """An ISO date."""
    return date.fromisoformat(text)


class Warehouse:
    """Raw tables of one isolated project; ``build`` runs dbt, ``rows`` reads a model."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.warehouse = warehouse_of(settings)
        self.warehouse.ensure_dataset(settings.raw_dataset)
        for table, contract in CONTRACTS.items():
            self.warehouse.ensure_table(
                f"{settings.project_id}.{settings.raw_dataset}.{table}",
                bigquery_schema(contract),
                partition_field="arrival_date",
            )

    def land(self, table: str, rows: Iterable[Row]) -> None:
        """Insert rows; ``ingested_at`` says on which day they arrived. The contract checks each."""
        contract = CONTRACTS[table]
        checked = [
            contract(**row).model_dump()
            | {"arrival_date": row["ingested_at"].date(), "landing_file": "literal", "landing_row": number}
            for number, row in enumerate(rows)
        ]
        columns = list(checked[0])
        json_columns = {column.name for column in columns_of(contract) if column.json}
        values = ",\n".join(
            "(" + ", ".join((_json if c in json_columns else _literal)(row[c]) for c in columns) + ")"
            for row in checked
        )
        names = ", ".join(f"`{column}`" for column in columns)
        self.query(f"insert into {self.settings.raw_dataset}.{table} ({names}) values {values}")

    def build(
        self,
        start: str,
        end: str,
        as_of: str | None = None,
        select: list[str] | None = None,
        *,
        data_tests: bool = False,
        known_start: str | None = None,
    ) -> str:
        """Build [start, end] and return the name of the audit dataset."""
        window = RunWindow.whole(self.settings, day(start), day(end), day(as_of or end))
        known = {"known_start_date": day(known_start) if known_start else None}
        build(self.settings, window.model_copy(update={"data_tests": data_tests} | known), select)
        return window.audit_dataset

    def rows(self, table: str, columns: str, order_by: str, where: str = "true") -> list[tuple[Any, ...]]:
        """The rows of ``dataset.table``, as tuples."""
        found = self.query(f"select {columns} from {table} where {where} order by {order_by}")
        return [tuple(_plain(value) for value in row.values()) for row in found]

    def fingerprint(self, table: str, where: str) -> str:
        """All rows of a partition as sorted JSON: equal fingerprints, equal partitions."""
        found = [dict(row) for row in self.query(f"select * from {table} where {where}")]
        return "\n".join(sorted(json.dumps(row, default=str, sort_keys=True) for row in found))

    def query(self, sql: str) -> Any:
        """Run a statement and return its rows."""
        return self.warehouse.run(sql)


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool() | int():
            return str(value).lower()
        case Decimal():
            return f"cast('{value:f}' as {'numeric(38, 9)' if round(value, 9) == value else 'bignumeric'})"
        case datetime():
            return f"timestamp '{value.isoformat()}'"
        case date():
            return f"date '{value.isoformat()}'"
    return "'" + str(value).replace("'", "\\'") + "'"


def _json(text: str | None) -> str:
    return "null" if text is None else f"parse_json({_literal(text)})"


def _plain(value: Any) -> Any:
    """Decimals as text with their meaningful digits, times without their zone: short to write in a test."""
    match value:
        case Decimal():
            return f"{value:.2f}"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
        case date():
            return value.isoformat()
    return value


# Rows with the columns that a test does not care about filled in.


def account(account_id: str, market: str = "SE", since: str = "2026-01-01 00:00", **other: Any) -> Row:
    """An account's version that arrives the moment it is created, unless told otherwise."""
    row = {
        "account_id": account_id, "created_at": at(since), "market": market, "locale": "en",
        "is_test": False, "is_employee": False, "ingested_at": at(since),
    }  # fmt: skip
    return row | other


def plan(
    plan_id: str, kind: str, interval: str, since: str = "2026-01-01 00:00", count: int | None = None
) -> Row:
    """A plan of the catalogue."""
    return {
        "plan_id": plan_id, "kind": kind, "interval": interval, "interval_count": count,
        "trial_days": 30, "seats": 1, "ingested_at": at(since),
    }  # fmt: skip


def rate(currency: str, usd_rate: str, on: str = "2026-01-01") -> Row:
    """A day's exchange rate, which arrives on the day."""
    return {
        "day": day(on), "currency": currency, "usd_rate": Decimal(usd_rate),
        "ingested_at": at(f"{on} 06:00"),
    }  # fmt: skip


_numbers = iter(range(1, 1_000_000))


def event(subscription_id: str, account_id: str, event_type: str, occurred: str, **other: Any) -> Row:
    """A Stripe event that arrives an hour later, unless told otherwise."""
    occurred_at = at(occurred)
    row = {
        "provider": "stripe", "provider_event_id": f"evt_{next(_numbers):06d}",
        "subscription_id": subscription_id, "account_id": account_id, "event_type": event_type,
        "occurred_at": occurred_at, "ingested_at": occurred_at + timedelta(hours=1),
    }  # fmt: skip
    return row | other


WarehouseFactory = Callable[[str], Warehouse]


@pytest.fixture(scope="module")
def new_warehouse(dbt_world: Callable[..., Settings]) -> WarehouseFactory:
    """Factory of warehouses with empty raw tables."""
    return lambda name: Warehouse(dbt_world(name, dbt_threads=2))


@pytest.fixture(scope="session")
def march(dbt_world: Callable[..., Settings]) -> Warehouse:
    """1 to 5 March as one range, known on 10 March; ``test_rebuilding`` comes last and changes it.

    dbt's tests are run over it by ``test_practitioner``.
    """
    from tests.dbt.march import AS_OF, land_march

    warehouse = Warehouse(dbt_world("dbt-march", dbt_threads=2))
    land_march(warehouse)
    warehouse.build("2026-03-01", "2026-03-05", AS_OF)
    return warehouse
