"""The account's rows in BigQuery: in which tables, by which condition, how many."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.cloud import bigquery
from google.cloud.exceptions import NotFound

from loaders.warehouse.client import run
from loaders.warehouse.erasures import SUBJECT_OF_COLUMN
from loaders.warehouse.ops import literal
from segue.settings import Settings

_FREE_TEXT = ("payload", "sample")
"""Columns that hold whole rows or keys as JSON: the quarantine's rows, the samples of validations."""


@dataclass(frozen=True)
class AccountRows:
    """A table, and the condition that holds for the account's rows."""

    table: str
    condition: str

    def count(self, client: bigquery.Client, settings: Settings) -> int:
        """How many rows there are now."""
        sql = f"select count(*) as found from `{self.table}` where {self.condition}"
        [row] = run(client, sql, settings=settings)
        return int(row.found)

    def delete(self, client: bigquery.Client, settings: Settings) -> None:
        """Removes them."""
        run(client, f"delete from `{self.table}` where {self.condition}", settings=settings)


def subscriptions_of(client: bigquery.Client, settings: Settings, account_id: str) -> list[str]:
    """Subscriptions that the account pays for, after raw and the history."""
    found: set[str] = set()
    for dataset in (settings.raw_dataset, settings.history_dataset):
        for table in _tables(client, settings, [dataset]):
            names = {field.name for field in table.schema}
            # of a plan's members only the payer's subscription is the account's
            if not {"account_id", "subscription_id"} <= names or "role" in names:
                continue
            sql = (
                f"select distinct subscription_id from `{_name(table)}` "
                f"where account_id = {literal(account_id)} and subscription_id is not null"
            )
            found.update(row.subscription_id for row in run(client, sql, settings=settings))
    return sorted(found)


def account_rows(
    client: bigquery.Client, settings: Settings, account_id: str, subscriptions: Sequence[str]
) -> list[AccountRows]:
    """Every table of the platform that can hold rows of the account.

    A table without accounts is looked through by the account's subscriptions: payments are of them.
    """
    wanted = []
    for table in _tables(client, settings, _datasets(client, settings)):
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


def _datasets(client: bigquery.Client, settings: Settings) -> list[str]:
    fixed = {
        settings.raw_dataset,
        f"{settings.raw_dataset}_scratch",
        settings.quarantine_dataset,
        settings.history_dataset,
        settings.marts_dataset,
        settings.ops_dataset,
        settings.bigtable_load_dataset,
    }
    present = [each.dataset_id for each in client.list_datasets(retry=None)]
    return [name for name in present if name in fixed or name.startswith(f"{settings.audit_dataset_prefix}_")]


def _tables(client: bigquery.Client, settings: Settings, datasets: Sequence[str]) -> Iterator[bigquery.Table]:
    for dataset in datasets:
        try:
            listed = list(client.list_tables(f"{settings.project_id}.{dataset}", retry=None))
        except NotFound:
            continue
        for item in listed:
            if item.table_type == "TABLE":
                yield client.get_table(item.reference, retry=None)


def _name(table: bigquery.Table) -> str:
    return f"{table.project}.{table.dataset_id}.{table.table_id}"
