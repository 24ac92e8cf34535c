"""The list of erased accounts: salted hashes in ``ops.erasures``, by which later rows of theirs are refused.

The list holds no personal data: without the salt (``SEGUE_ERASURE_SALT``), which is not in the warehouse, a
hash says nothing about whose it is.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from loaders.warehouse.client import Warehouse, WarehouseError
from loaders.warehouse.ops import literal, ops_table
from segue.settings import Settings

SubjectKind = Literal["account", "subscription"]

SUBJECT_OF_COLUMN: Final[dict[str, SubjectKind]] = {
    "account_id": "account",
    "merged_into": "account",
    "merged_into_account_id": "account",
    "resolved_account_id": "account",
    "subscription_id": "subscription",
}
"""Columns, of any table, that name whose row it is."""


def subject_hash(settings: Settings, subject: str) -> str:
    """64 hex digits that stand for an account or subscription in the list.

    Raises:
        WarehouseError: no salt is configured.
    """
    return hashlib.sha256((_salt(settings) + subject).encode()).hexdigest()


def erased_accounts(warehouse: Warehouse) -> int:
    """How many accounts are in the list."""
    settings = warehouse.settings
    table = ops_table(settings, "erasures")
    if warehouse.find_table(table) is None:
        return 0
    [row] = warehouse.run(
        f"select count(distinct subject_hash) as accounts from `{table}` "
        f"where run_date >= {literal(settings.history_start_date)} and subject_kind = 'account'",
    )
    return int(row.accounts)


def erased_subjects(warehouse: Warehouse) -> dict[SubjectKind, frozenset[str]]:
    """The hashes in the list, by what they are of; both empty sets when nothing was ever erased."""
    settings = warehouse.settings
    found: dict[SubjectKind, set[str]] = {"account": set(), "subscription": set()}
    table = ops_table(settings, "erasures")
    if warehouse.find_table(table) is not None:
        rows = warehouse.run(
            f"select distinct subject_kind, subject_hash from `{table}` "
            f"where run_date >= {literal(settings.history_start_date)}",
        )
        for row in rows:
            found[row.subject_kind].add(row.subject_hash)
    return {kind: frozenset(hashes) for kind, hashes in found.items()}


def erased_filter(warehouse: Warehouse, kind: SubjectKind, column: str) -> str:
    """A condition in GoogleSQL that holds for rows whose ``column`` names nobody in the list.

    Raises:
        WarehouseError: there are erased accounts but no salt is configured.
    """
    settings = warehouse.settings
    if not erased_accounts(warehouse):
        return "true"
    return (
        f"to_hex(sha256(concat({literal(_salt(settings))}, coalesce({column}, '')))) not in "
        f"(select subject_hash from `{ops_table(settings, 'erasures')}` "
        f"where run_date >= {literal(settings.history_start_date)} and subject_kind = {literal(kind)})"
    )


def _salt(settings: Settings) -> str:
    if settings.erasure_salt is None or not settings.erasure_salt.get_secret_value():
        raise WarehouseError("SEGUE_ERASURE_SALT is not set: erased accounts are known by salted hashes only")
    return settings.erasure_salt.get_secret_value()


class ErasedSubjects:
    """The list, ready to be asked for many rows; asking costs nothing while nobody was ever erased."""

    def __init__(self, settings: Settings, hashes: dict[SubjectKind, frozenset[str]]) -> None:
        self._settings = settings
        self._hashes = hashes

    @classmethod
    def read(cls, warehouse: Warehouse) -> ErasedSubjects:
        """The list as it is now.

        Raises:
            WarehouseError: there are erased accounts but no salt is configured.
        """
        settings = warehouse.settings
        hashes = erased_subjects(warehouse)
        if any(hashes.values()):
            _salt(settings)
        return cls(settings, hashes)

    def __bool__(self) -> bool:
        return any(self._hashes.values())

    def names(self, column: str, value: object) -> bool:
        """Whether a value of a column names an erased account or one of its subscriptions."""
        kind = SUBJECT_OF_COLUMN.get(column)
        if kind is None or not isinstance(value, str) or not self._hashes[kind]:
            return False
        return subject_hash(self._settings, value) in self._hashes[kind]

    def rows_of(self, rows: pa.Table) -> pa.Array:
        """True for the rows of an erased account; each distinct value is hashed once."""
        erased = pa.repeat(pa.scalar(False), rows.num_rows)
        for name in SUBJECT_OF_COLUMN:
            if name not in rows.column_names or not self:
                continue
            values = rows.column(name)
            named = [value for value in pc.unique(values).to_pylist() if self.names(name, value)]
            erased = pc.or_(erased, pc.is_in(values, value_set=pa.array(named, values.type)))
        return erased
