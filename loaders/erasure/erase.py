"""One erasure: the list of erased accounts first, then Bigtable, then BigQuery, then the proof.

In this order, because from the moment an account is in the list nothing that lands or loads brings it back;
whatever is interrupted is done again by erasing again.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from google.api_core.exceptions import GoogleAPIError

from loaders.bigtable.errors import LoadError
from loaders.bigtable.table import ensure_table
from loaders.erasure.cells import cells_left, erase_cells
from loaders.erasure.merges import merged_accounts
from loaders.erasure.tables import account_rows, subscriptions_of
from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from loaders.warehouse.erasures import SubjectKind, subject_hash
from loaders.warehouse.ops import append_rows, ensure_ops_tables
from segue.errors import SegueError
from segue.settings import Settings
from serving.connection import open_table
from serving.row_key import row_key

_log = structlog.get_logger()


class EraseError(SegueError):
    """The account is not erased, or it could not be proved: erase it again."""

    code = "not_erased"
    hint = "erase the account again: what is interrupted is done again"


@dataclass(frozen=True)
class Erasure:
    """What was removed. Nothing in it says whose it was but the salted hash."""

    erasure_id: str
    subject_hash: str
    cells_removed: int
    rows_removed: dict[str, int]
    """By table, of the platform's project."""
    merged_accounts: int = 0
    """How many accounts had been merged into it; what was removed of them is counted here as well."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "erasure_id": self.erasure_id,
            "subject_hash": self.subject_hash,
            "cells_removed": self.cells_removed,
            "rows_removed": self.rows_removed,
            "merged_accounts": self.merged_accounts,
        }


def erase(settings: Settings, account_id: str) -> Erasure:
    """Removes an account from every generation in Bigtable and from every table in BigQuery, for good.

    So are the accounts that were merged into it, each with its own proof: what they did is the account's.
    Erasing again finds what arrived or was left in between, and proves it anew. Files in the landing bucket
    are not touched: landing them again leaves the account out.

    Raises:
        InvalidAccountIdError: the id cannot be one.
        EraseError: something of the account is left, or a service did not answer.
    """
    row_key(account_id)
    try:
        merged = merged_accounts(warehouse_of(settings), account_id)
    except (GoogleAPIError, WarehouseError) as error:
        raise EraseError(f"the account is not erased: {error}") from error
    removed: Counter[str] = Counter()
    cells = 0
    for each in merged:
        earlier = _erase_account(settings, each)
        removed.update(earlier.rows_removed)
        cells += earlier.cells_removed
    erasure = _erase_account(settings, account_id)
    removed.update(erasure.rows_removed)
    return replace(
        erasure,
        cells_removed=cells + erasure.cells_removed,
        rows_removed=dict(removed),
        merged_accounts=len(merged),
    )


def _erase_account(settings: Settings, account_id: str) -> Erasure:
    """One account, whoever was merged into it."""
    erasure_id = str(uuid.uuid4())
    try:
        warehouse = warehouse_of(settings)
        hashed = subject_hash(settings, account_id)
        subscriptions = subscriptions_of(warehouse, account_id)
        ensure_ops_tables(warehouse)
        subjects: list[tuple[SubjectKind, str]] = [("account", hashed)]
        subjects += [("subscription", subject_hash(settings, each)) for each in subscriptions]
        _record(warehouse, erasure_id, subjects, "begun", {})
        removed, left = {}, {}
        ensure_table(settings)
        with open_table(settings) as table:
            cells = erase_cells(table, account_id, hashed)
            for rows in account_rows(warehouse, account_id, subscriptions):
                found = rows.count(warehouse)
                if found:
                    rows.delete(warehouse)
                    removed[rows.table] = found
                left[rows.table] = rows.count(warehouse) if found else 0
            remaining = cells_left(table, account_id)
    except (GoogleAPIError, WarehouseError, LoadError) as error:
        raise EraseError(f"the account is not erased: {error}") from error
    if remaining or any(left.values()):
        where = ", ".join(name for name, count in left.items() if count)
        raise EraseError(f"the account is not erased: {remaining} cells, and rows in {where or 'no table'}")
    proof = {"rows_removed": removed, "rows_left": left, "cells_removed": cells, "cells_left": remaining}
    try:
        _record(warehouse, erasure_id, [("account", hashed)], "proved", proof)
    except (GoogleAPIError, WarehouseError) as error:
        raise EraseError(f"the account is erased, but the proof is not recorded: {error}") from error
    _log.info("account erased", erasure_id=erasure_id, cells=cells, rows=sum(removed.values()))
    return Erasure(erasure_id, hashed, cells, removed)


def _record(
    warehouse: Warehouse,
    erasure_id: str,
    subjects: Iterable[tuple[SubjectKind, str]],
    state: str,
    proof: dict[str, Any],
) -> None:
    now = datetime.now(UTC)
    append_rows(
        warehouse,
        "erasures",
        [
            {
                "run_date": now.date().isoformat(),
                "erasure_id": erasure_id,
                "subject_kind": kind,
                "subject_hash": hashed,
                "state": state,
                "proof": json.dumps(proof),
                "recorded_at": now.isoformat(),
            }
            for kind, hashed in subjects
        ],
    )
