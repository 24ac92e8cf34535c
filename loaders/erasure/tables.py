"""The account's rows in BigQuery: in which tables, by which condition, how many."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse
from loaders.warehouse.erasures import SUBJECT_OF_COLUMN
from loaders.warehouse.ops import literal

_FREE_TEXT = ("payload", "sample")
"""Columns that hold whole rows or keys as JSON: the quarantine's rows, the samples of validations."""


@dataclass(frozen=True)
class AccountRows:
    """A table, and the condition that holds for the account's rows."""

    table: str
    condition: str

    def count(self, warehouse: Warehouse) -> int:
        """How many rows there are now."""
        sql = f"select count(*) as found from `{self.table}` where {self.condition}"
        [row] = warehouse.run(sql)
        return int(row.found)

    def delete(self, warehouse: Warehouse) -> None:
        """Removes them."""
        warehouse.run(f"delete from `{self.table}` where {self.condition}")


def subscriptions_of(warehouse: Warehouse, account_id: str) -> list[str]:
    """Subscriptions that the account pays for, after raw and the history."""
    settings = warehouse.settings
    found: set[str] = set()
    for dataset in (settings.raw_dataset, settings.history_dataset):
        for table in _tables(warehouse, [dataset]):
            names = {field.name for field in table.schema}
            # of a plan's members only the payer's subscription is the account's
            if not {"account_id", "subscription_id"} <= names or "role" in names:
                continue
            sql = (
                f"select distinct subscription_id from `{_name(table)}` "
                f"where account_id = {literal(account_id)} and subscription_id is not null"
            )
            found.update(row.subscription_id for row in warehouse.run(sql))
    return sorted(found)


def account_rows(warehouse: Warehouse, account_id: str, subscriptions: Sequence[str]) -> list[AccountRows]:
    """Every table of the platform that can hold rows of the account.

    A table without accounts is looked through by the account's subscriptions: payments are of them.
    """
    wanted = []
    for table in _tables(warehouse, _datasets(warehouse)):
        names = {field.name for field in table.schema if field.field_type == "STRING"}
        conditions = [
            f"`{name}` = {literal(account_id)}"
            for name, kind in SUBJECT_OF_COLUMN.items()
            if kind == "account" and name in names
        ]
        if not conditions and "subscription_id" in names and subscriptions:
            listed = ", ".join(literal(each) for each in subscriptions)
            conditions.append(f"`subscription_id` in ({listed})")
        for name in _FREE_TEXT:
            if name in names:
                mentions = [json.dumps(each, ensure_ascii=False) for each in (account_id, *subscriptions)]
                conditions += [f"strpos(`{name}`, {literal(each)}) > 0" for each in mentions]
        if conditions:
            wanted.append(AccountRows(_name(table), " or ".join(conditions)))
    return wanted


def _datasets(warehouse: Warehouse) -> list[str]:
    settings = warehouse.settings
    fixed = {
        settings.raw_dataset,
        f"{settings.raw_dataset}_scratch",
        settings.quarantine_dataset,
        settings.history_dataset,
        settings.marts_dataset,
        settings.ops_dataset,
        settings.bigtable_load_dataset,
    }
    present = warehouse.datasets()
    return [name for name in present if name in fixed or name.startswith(f"{settings.audit_dataset_prefix}_")]


def _tables(warehouse: Warehouse, datasets: Sequence[str]) -> Iterator[bigquery.Table]:
    return (table for dataset in datasets for table in warehouse.tables(dataset))


def _name(table: bigquery.Table) -> str:
    return f"{table.project}.{table.dataset_id}.{table.table_id}"
