"""The list of erased accounts: salted hashes in ``ops.erasures``, by which rows of theirs are recognised.

The list holds no personal data: without the salt (``SEGUE_ERASURE_SALT``), which is not in the warehouse, a
hash says nothing about whose it is. Salt and hashes go to BigQuery as query parameters, never as text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
from google.cloud import bigquery

from loaders.warehouse.client import QueryParameter, Warehouse, WarehouseError
from loaders.warehouse.ledger_time import ledger_time
from loaders.warehouse.ops import append_rows, literal, ops_table
from segue.settings import Settings

SubjectKind = Literal["account", "subscription", "customer"]
"""What an erased id is of. ``customer`` is a billing provider's own id of a payer: it counts only in rows
that name no account, because accounts may share one."""
KINDS: Final[tuple[SubjectKind, ...]] = get_args(SubjectKind)

TELLING_LENGTH: Final = 6
"""A shorter id is looked for only where an id is expected: in other text it may well mean something else."""

_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of two machines may be apart."""


def subject_kind(column: str) -> SubjectKind | None:
    """What a column's values are ids of, after its name: the one rule for every table of the platform."""
    if "subscription_id" in column or column == "purchase_token":
        return "subscription"
    if "account_id" in column or column == "merged_into":
        return "account"
    return "customer" if column == "customer_id" else None


@dataclass(frozen=True)
class Place:
    """Where a row names whose it is: a GoogleSQL expression, for each element of the array ``within``."""

    kind: SubjectKind
    expression: str
    within: str = ""

    def holds(self, test: str) -> str:
        """A condition, never null: ``test``, in which {} stands for the value, holds here."""
        condition = f"coalesce({test.format(self.expression)}, false)"
        return (
            f"exists(select 1 from unnest({self.within}) as each where {condition})"
            if self.within
            else condition
        )


def column_places(schema: Iterable[bigquery.SchemaField], parent: str = "", within: str = "") -> list[Place]:
    """Every column, also of structs and arrays, that names whose a row is."""
    found: list[Place] = []
    for field in schema:
        name = f"{parent}`{field.name}`"
        is_array = field.mode == "REPEATED"
        if field.field_type in ("RECORD", "STRUCT"):
            found += column_places(
                field.fields, "each." if is_array else f"{name}.", name if is_array else within
            )
        elif field.field_type == "STRING" and (kind := subject_kind(field.name)):
            found.append(Place(kind, "each", name) if is_array else Place(kind, name, within))
    return found


def any_place(places: Iterable[Place], tests: Mapping[SubjectKind, str]) -> str:
    """A condition, never null: a row names a subject for which its kind's test holds; empty: none can."""
    listed = list(places)
    held = [each.holds(tests[each.kind]) for each in listed if each.kind != "customer" and each.kind in tests]
    customers = [each.holds(tests["customer"]) for each in listed if each.kind == "customer" in tests]
    if customers:
        unnamed = [f"not {each.holds('{} is not null')}" for each in listed if each.kind == "account"]
        held.append(f"(({' or '.join(customers)}) and {' and '.join(unnamed or ['true'])})")
    return " or ".join(held)


def subject_hash(settings: Settings, subject: str) -> str:
    """64 hex digits that stand for an erased id in the list.

    Raises:
        WarehouseError: no salt is configured.
    """
    return hashlib.sha256((_salt(settings) + subject).encode()).hexdigest()


class ErasedSubjects:
    """Erased ids, ready to be asked for many rows; asking costs nothing while nobody was ever erased."""

    def __init__(self, settings: Settings, hashes: Mapping[SubjectKind, frozenset[str]]) -> None:
        self._settings = settings
        self.hashes = hashes

    @classmethod
    def read(cls, warehouse: Warehouse, since: datetime | None = None) -> ErasedSubjects:
        """The list as it is now; with ``since`` those whose erasure was not proved before that moment.

        A run that began to read then may have read rows of the latter, and of nobody else in the list.

        Raises:
            WarehouseError: there are erased accounts but no salt is configured.
        """
        query = listed_query(warehouse) if since is None else pending_query(warehouse, since)
        return cls._of(warehouse, query)

    @classmethod
    def of_accounts(cls, warehouse: Warehouse, hashes: Iterable[str]) -> ErasedSubjects:
        """What earlier erasures of accounts, known by their hashes, have erased; raises as ``read``."""
        named = "subject_kind = 'account' and subject_hash in unnest(@hashes)"
        return cls._of(
            warehouse,
            listed_query(warehouse, f"erasure_id in (select erasure_id {_from_list(warehouse)} and {named})"),
            [bigquery.ArrayQueryParameter("hashes", "STRING", sorted(hashes))],
        )

    @classmethod
    def _of(
        cls, warehouse: Warehouse, query: str, parameters: Sequence[QueryParameter] = ()
    ) -> ErasedSubjects:
        settings = warehouse.settings
        found: dict[SubjectKind, set[str]] = {kind: set() for kind in KINDS}
        if _has_rows(warehouse):
            for row in warehouse.run(query, parameters=parameters):
                found[row.subject_kind].add(row.subject_hash)
        if any(found.values()):
            _salt(settings)
        return cls(settings, {kind: frozenset(hashes) for kind, hashes in found.items()})

    def __bool__(self) -> bool:
        return any(self.hashes.values())

    def __len__(self) -> int:
        return sum(len(hashes) for hashes in self.hashes.values())

    def beyond(self, other: ErasedSubjects) -> bool:
        """Whether the list has ids that another reading of it has not."""
        return any(self.hashes[kind] - other.hashes[kind] for kind in KINDS)

    def names(self, kind: SubjectKind, value: object) -> bool:
        """Whether a value is an erased id of this kind."""
        if not isinstance(value, str) or not self.hashes[kind]:
            return False
        return subject_hash(self._settings, value) in self.hashes[kind]

    def rows_of(self, rows: pa.Table) -> pa.Array:
        """True for the rows whose columns name an erased id; each distinct value is hashed once."""
        erased = pa.repeat(pa.scalar(False), rows.num_rows)
        for name in rows.column_names:
            kind = subject_kind(name)
            # A customer's column stands beside the account's, which counts.
            if kind is None or kind == "customer" or not self.hashes[kind]:
                continue
            values = rows.column(name)
            named = [value for value in pc.unique(values).to_pylist() if self.names(kind, value)]
            erased = pc.or_(erased, pc.is_in(values, value_set=pa.array(named, values.type)))
        return erased

    def condition(self, places: Iterable[Place]) -> str:
        """A condition, never null: the row names an erased id. Needs ``parameters``; empty: none can."""
        return any_place(
            places,
            {
                kind: f"to_hex(sha256(concat(@erased_salt, {{}}))) in unnest(@erased_{kind})"
                for kind in KINDS
                if self.hashes[kind]
            },
        )

    @property
    def parameters(self) -> list[QueryParameter]:
        """The salt and the hashes, for the statement that holds ``condition``."""
        if not self:
            return []
        return [
            bigquery.ScalarQueryParameter("erased_salt", "STRING", _salt(self._settings)),
            *(
                bigquery.ArrayQueryParameter(f"erased_{kind}", "STRING", sorted(self.hashes[kind]))
                for kind in KINDS
                if self.hashes[kind]
            ),
        ]


def record_erased(
    warehouse: Warehouse,
    erasure_id: str,
    hashes: Iterable[tuple[SubjectKind, str]],
    state: Literal["begun", "found", "proved"],
    proof: Mapping[str, object],
) -> None:
    """Adds to the list; the proof, which is of all of them, stands in the first row.

    Raises:
        WarehouseError: BigQuery did not take it.
    """
    now = ledger_time(warehouse)
    rows = [
        {
            "run_date": now.date().isoformat(),
            "erasure_id": erasure_id,
            "subject_kind": kind,
            "subject_hash": hashed,
            "state": state,
            "proof": json.dumps({} if number else proof),
            "recorded_at": now.isoformat(),
        }
        for number, (kind, hashed) in enumerate(hashes)
    ]
    append_rows(warehouse, "erasures", rows)


def listed_query(warehouse: Warehouse, condition: str = "true") -> str:
    """(subject_kind, subject_hash) of the list, each once."""
    return f"select distinct subject_kind, subject_hash {_from_list(warehouse)} and {condition}"


def pending_query(warehouse: Warehouse, since: datetime) -> str:
    """(subject_kind, subject_hash) of everybody whose erasure was not proved before ``since``."""
    proved = f"state = 'proved' and recorded_at < {literal(since - _SKEW)}"
    return listed_query(
        warehouse,
        f"state <> 'found' and erasure_id not in (select erasure_id {_from_list(warehouse)} and {proved})",
    )


def unerased(warehouse: Warehouse, kind: SubjectKind, column: str) -> tuple[str, list[QueryParameter]]:
    """A condition that holds for rows whose ``column`` is no id in the whole list, and its parameters.

    Raises:
        WarehouseError: there are erased accounts but no salt is configured.
    """
    if not _has_rows(warehouse):
        return "true", []
    listed = f"{_from_list(warehouse)} and subject_kind = {literal(kind)}"
    condition = (
        f"to_hex(sha256(concat(@erased_salt, coalesce({column}, '')))) not in (select subject_hash {listed})"
    )
    return condition, [bigquery.ScalarQueryParameter("erased_salt", "STRING", _salt(warehouse.settings))]


def _table(warehouse: Warehouse) -> str:
    return ops_table(warehouse.settings, "erasures")


def _has_rows(warehouse: Warehouse) -> bool:
    """Whether anybody was ever erased: asked of the table's metadata, which costs no statement."""
    table = warehouse.find_table(_table(warehouse))
    return table is not None and table.num_rows != 0


def _from_list(warehouse: Warehouse) -> str:
    """The whole list, with its constant partition filter."""
    return f"from `{_table(warehouse)}` where run_date >= {literal(warehouse.settings.history_start_date)}"


def _salt(settings: Settings) -> str:
    if settings.erasure_salt is None or not settings.erasure_salt.get_secret_value():
        raise WarehouseError("SEGUE_ERASURE_SALT is not set: erased accounts are known by salted hashes only")
    return settings.erasure_salt.get_secret_value()
