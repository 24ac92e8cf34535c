"""Who was merged into an account: the same person under earlier names."""

from __future__ import annotations

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse


def survivor_of(warehouse: Warehouse, account_id: str) -> str:
    """The account that this one's merges lead to; itself without any, and in a circle of merges.

    Raises:
        WarehouseError: the merges could not be read.
    """
    accounts = warehouse.table(warehouse.settings.raw_dataset, "accounts")
    if warehouse.find_table(accounts) is None:
        return account_id
    seen = [account_id]
    while True:
        [latest] = list(
            warehouse.run(
                f"select merged_into from `{accounts}` where account_id = @account "
                "order by ingested_at desc, landing_file desc, landing_row desc limit 1",
                parameters=[bigquery.ScalarQueryParameter("account", "STRING", seen[-1])],
            )
        ) or [None]
        if latest is None or latest.merged_into is None:
            return seen[-1]
        if latest.merged_into in seen:
            return account_id
        seen.append(latest.merged_into)


def merged_accounts(warehouse: Warehouse, account_id: str) -> list[str]:
    """Accounts whose merges lead to this one, over however many others; the one furthest away first.

    In that order each can be removed while what is left still tells who else there is. A circle of merges
    does not tell who is whom: then there are none.

    Raises:
        WarehouseError: the merges could not be read, or more than 500 follow each other.
    """
    accounts = warehouse.table(warehouse.settings.raw_dataset, "accounts")
    if warehouse.find_table(accounts) is None:
        return []
    found = warehouse.run(
        f"""with recursive
            latest as (
                select account_id, merged_into from `{accounts}`
                where true
                qualify row_number() over (
                    partition by account_id order by ingested_at desc, landing_file desc, landing_row desc
                ) = 1
            ),
            merged as (
                select account_id, 1 as merges from latest where merged_into = @survivor
                union all
                select latest.account_id, merged.merges + 1
                from merged inner join latest on merged.account_id = latest.merged_into
                where merged.account_id <> @survivor
            )
        select account_id from merged order by merges desc, account_id""",
        parameters=[bigquery.ScalarQueryParameter("survivor", "STRING", account_id)],
    )
    names = [str(row.account_id) for row in found]
    return [] if account_id in names else names
