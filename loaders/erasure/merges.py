"""Who was merged into an account: the same person under earlier names."""

from __future__ import annotations

from collections.abc import Collection

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse


def survivors_of(warehouse: Warehouse, account_ids: Collection[str]) -> dict[str, str]:
    """The account that each one's merges lead to; itself without any, and in a circle of merges.

    Raises:
        WarehouseError: the merges could not be read.
    """
    accounts = warehouse.table(warehouse.settings.raw_dataset, "accounts")
    survivors = {each: each for each in account_ids}
    if warehouse.find_table(accounts) is None:
        return survivors
    seen = {each: {each} for each in account_ids}
    following = set(account_ids)
    while following:
        found = warehouse.run(
            f"select account_id, merged_into from `{accounts}` where account_id in unnest(@accounts) "
            "qualify row_number() over (partition by account_id "
            "order by ingested_at desc, landing_file desc, landing_row desc) = 1",
            parameters=[
                bigquery.ArrayQueryParameter(
                    "accounts", "STRING", sorted({survivors[each] for each in following})
                )
            ],
        )
        merged_into = {row.account_id: row.merged_into for row in found if row.merged_into is not None}
        following = {each for each in following if survivors[each] in merged_into}
        for each in list(following):
            survivors[each] = merged_into[survivors[each]]
            if survivors[each] in seen[each]:
                survivors[each] = each
                following.discard(each)
            seen[each].add(survivors[each])
    return survivors


def provider_names(warehouse: Warehouse, account_ids: Collection[str]) -> set[str]:
    """What billing providers call these accounts, as the marts write it: provider, a colon, and an id.

    Raises:
        WarehouseError: the map of customers could not be read.
    """
    table = warehouse.table(warehouse.settings.raw_dataset, "provider_accounts")
    if warehouse.find_table(table) is None:
        return set()
    found = warehouse.run(
        f"select distinct provider || ':' || coalesce(customer_id, subscription_id) as name from `{table}` "
        "where account_id in unnest(@accounts)",
        parameters=[bigquery.ArrayQueryParameter("accounts", "STRING", sorted(account_ids))],
    )
    return {str(row.name) for row in found}


def merged_accounts(warehouse: Warehouse, account_ids: Collection[str]) -> set[str]:
    """Accounts whose merges lead to one of these, over however many others.

    A circle of merges does not tell who is whom: there nobody was merged into anybody.

    Raises:
        WarehouseError: the merges could not be read, or more than 500 follow each other.
    """
    accounts = warehouse.table(warehouse.settings.raw_dataset, "accounts")
    if warehouse.find_table(accounts) is None:
        return set()
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
                select merged_into as survivor, account_id from latest where merged_into in unnest(@survivors)
                union all
                select merged.survivor, latest.account_id
                from merged inner join latest on merged.account_id = latest.merged_into
                where merged.account_id <> merged.survivor
            )
        select distinct survivor, account_id from merged""",
        parameters=[bigquery.ArrayQueryParameter("survivors", "STRING", sorted(account_ids))],
    )
    pairs = {(str(row.survivor), str(row.account_id)) for row in found}
    return {account for survivor, account in pairs if (survivor, survivor) not in pairs}
