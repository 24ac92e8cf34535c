"""One erasure, of one account or of many: the list of erased accounts first, then Bigtable, BigQuery and the
disk, then the proof.

In this order, because from the moment an account is in the list nothing that lands, builds or loads brings it
back; whatever is interrupted is done again by erasing again. A load that is running goes on without it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery

from loaders.bigtable.connection import open_table
from loaders.bigtable.deadline import load_deadline
from loaders.bigtable.errors import LoadError
from loaders.bigtable.replication import wait_until_replicated
from loaders.bigtable.table import ensure_table
from loaders.erasure.cells import cells_left, erase_cells
from loaders.erasure.files import Files
from loaders.erasure.merges import survivors_of
from loaders.erasure.subjects import Subjects, find_subjects, full_name
from loaders.erasure.tables import Days, Search, platform_tables
from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from loaders.warehouse.erasures import ErasedSubjects, record_erased, subject_hash
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table
from segue.errors import SegueError
from segue.settings import Settings
from segue_client.bigtable.row_key import row_key

ACCOUNTS_PER_ERASURE: Final = 500
"""With their subscriptions a few thousand ids: a quarter of the pattern that RE2 takes."""

_log = structlog.get_logger()


class EraseError(SegueError):
    """The accounts are not erased, or it could not be proved: erase them again."""

    code = "not_erased"
    hint = "erase again: what is interrupted is done again"


class MergedAccountError(EraseError):
    """Nothing was erased: an account was merged into another, which has its subscriptions now."""

    code = "account_was_merged"
    hint = (
        "erase the account that it was merged into (merged_into of raw.accounts, resolved_account_id of "
        "marts.dim_account): that one takes along whoever was merged into it"
    )


@dataclass(frozen=True)
class Erasure:
    """What was removed. Nothing in it says whose it was but the salted hashes."""

    erasure_id: str
    subject_hashes: tuple[str, ...]
    """Of the accounts that were asked for, sorted."""
    cells_removed: int
    rows_removed: dict[str, int]
    """By table, of the platform's project."""
    files_overwritten: dict[str, int]
    """Mentions overwritten, by file below the state folder."""
    merged_accounts: int
    """How many accounts had been merged into them; what was removed of those is counted here as well."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "erasure_id": self.erasure_id,
            "subject_hashes": list(self.subject_hashes),
            "cells_removed": self.cells_removed,
            "rows_removed": self.rows_removed,
            "merged_accounts": self.merged_accounts,
            "files_overwritten": self.files_overwritten,
        }


def erase(settings: Settings, *account_ids: str) -> Erasure:
    """Removes accounts, and whoever was merged into them, from everything that the platform keeps, for good.

    That is every generation in Bigtable, every table in BigQuery and what runs have written to
    ``settings.state_dir``. Erasing again finds what was left or came in between, and proves it anew. Files in
    the landing bucket are not touched: landing them again leaves the accounts out.

    However many they are, each table is read and changed once. They are in one erasure, which is proved for
    all or for none; ``in_batches`` makes several of very many.

    Raises:
        InvalidAccountIdError: an id cannot be one.
        MergedAccountError: an account was merged into another, not in the batch, which stands for it now.
        EraseError: something of the accounts is left, or a service did not answer.
    """
    for each in account_ids:
        row_key(each)
    erasure_id = str(uuid.uuid4())
    try:
        warehouse = warehouse_of(settings)
        hashes = sorted({subject_hash(settings, each) for each in account_ids})
        _refuse_merged(warehouse, account_ids)
        ensure_ops_tables(warehouse)
        earlier = ErasedSubjects.of_accounts(warehouse, hashes)
        # Before any row is looked for: from here on nothing that lands brings rows that are not found below.
        record_erased(warehouse, erasure_id, [("account", each) for each in hashes], "begun", {})
        subjects = find_subjects(warehouse, account_ids, earlier)
        record_erased(warehouse, erasure_id, subjects.hashes(settings), "begun", {})
        cells, cells_remaining = _erase_from_bigtable(settings, subjects)
        removed, rows_left = _erase_from_bigquery(warehouse, subjects)
        overwritten, files_left = _erase_from_disk(settings, subjects)
    except (GoogleAPIError, WarehouseError, LoadError, OSError) as error:
        raise EraseError(f"nothing is proved to be erased: {error}") from error
    left = rows_left | files_left
    if cells_remaining or any(left.values()):
        where = ", ".join(f"{name} ({count})" for name, count in left.items() if count)
        raise EraseError(
            f"not everything is erased: {cells_remaining} cells are left, and rows of others that mention "
            f"an erased account, or new ones of its own, in {where or 'no table'}"
        )
    proof = {
        "rows_removed": removed,
        "rows_left": rows_left,
        "cells_removed": cells,
        "cells_left": cells_remaining,
        "files_overwritten": overwritten,
        "files_left": files_left,
    }
    try:
        _record_proof(warehouse, erasure_id, subjects, proof)
    except (GoogleAPIError, WarehouseError) as error:
        raise EraseError(f"all is erased, but the proof is not recorded: {error}") from error
    _log.info("erased", erasure_id=erasure_id, accounts=len(hashes), cells=cells, rows=sum(removed.values()))
    return Erasure(
        erasure_id,
        tuple(hashes),
        cells_removed=cells,
        rows_removed=removed,
        files_overwritten=overwritten,
        merged_accounts=len(subjects.accounts) - len(hashes),
    )


def in_batches(account_ids: Iterable[str]) -> Iterator[list[str]]:
    """Each account once, in batches for ``erase``: what is looked for in a row is one regular expression."""
    distinct = list(dict.fromkeys(account_ids))
    for start in range(0, len(distinct), ACCOUNTS_PER_ERASURE):
        yield distinct[start : start + ACCOUNTS_PER_ERASURE]


def _refuse_merged(warehouse: Warehouse, account_ids: Collection[str]) -> None:
    survivors = survivors_of(warehouse, account_ids)
    elsewhere = [name for each, name in survivors.items() if name != each and name not in account_ids]
    if elsewhere:
        # Without its name: the message stands in a job's log.
        subject = "the account was" if len(account_ids) == 1 else f"{len(elsewhere)} of the accounts were"
        raise MergedAccountError(
            f"nothing was erased: {subject} merged into another, which stands for it now"
        )


def _erase_from_bigtable(settings: Settings, subjects: Subjects) -> tuple[int, int]:
    """Cells removed, and cells left."""
    ensure_table(settings)
    with open_table(settings) as table:
        removed = erase_cells(settings, table, subjects.accounts)
        # what is proved below is true of every cluster
        wait_until_replicated(settings, load_deadline(settings))
        return removed, cells_left(table, subjects.accounts)


def _erase_from_bigquery(warehouse: Warehouse, subjects: Subjects) -> tuple[dict[str, int], dict[str, int]]:
    """Rows removed, and rows left, of every table; those without any are searched once."""
    search = Search(warehouse, subjects)
    tables = {full_name(table): table for table in platform_tables(warehouse)}
    found = search.find(tables.values())
    hit = [tables[name] for name, days in found.items() if days]
    for table in hit:
        search.delete(table, found[full_name(table)])
    before = _rows(found)
    left = before | _rows(search.find(hit))
    removed = {name: count - left[name] for name, count in before.items() if count > left[name]}
    return removed, left


def _rows(found: Mapping[str, Days]) -> dict[str, int]:
    return {name: sum(days.values()) for name, days in found.items()}


def _erase_from_disk(settings: Settings, subjects: Subjects) -> tuple[dict[str, int], dict[str, int]]:
    """Mentions overwritten, and mentions left, by file."""
    files = Files(settings, list(subjects))
    found = files.count()
    if found:
        files.remove()
    return found, files.count() if found else {}


def _record_proof(warehouse: Warehouse, erasure_id: str, subjects: Subjects, proof: dict[str, Any]) -> None:
    """Also for earlier erasures of these accounts, and of no others, that were interrupted: they are done."""
    accounts = [(kind, hashed) for kind, hashed in subjects.hashes(warehouse.settings) if kind == "account"]
    table = ops_table(warehouse.settings, "erasures")
    listed = f"from `{table}` where run_date >= {literal(warehouse.settings.history_start_date)}"
    open_ones = warehouse.run(
        f"select erasure_id {listed} and subject_kind = 'account' group by erasure_id "
        "having countif(state = 'proved') = 0 and countif(subject_hash not in unnest(@accounts)) = 0",
        parameters=[bigquery.ArrayQueryParameter("accounts", "STRING", [hashed for _, hashed in accounts])],
    )
    for each in sorted({erasure_id, *(row.erasure_id for row in open_ones)}):
        record_erased(warehouse, each, accounts, "proved", proof)
