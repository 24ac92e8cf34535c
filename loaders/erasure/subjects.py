"""Who is erased: the accounts, whoever was merged into them, and the ids that stand for them in the feeds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.cloud import bigquery

from loaders.erasure.merges import merged_accounts, provider_names
from loaders.landing.contracts import CONTRACTS
from loaders.landing.subjects import names_in
from loaders.warehouse.client import QueryParameter, Warehouse
from loaders.warehouse.erasures import (
    KINDS,
    ErasedSubjects,
    Place,
    SubjectKind,
    any_place,
    column_places,
    subject_hash,
)
from segue.settings import Settings


@dataclass(frozen=True)
class Subjects:
    """Ids by what they are of, and what earlier erasures of the accounts have erased, as hashes."""

    ids: Mapping[SubjectKind, frozenset[str]]
    earlier: ErasedSubjects

    @property
    def accounts(self) -> list[str]:
        """The accounts and those that were merged into them."""
        return sorted(self.ids["account"])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({each for ids in self.ids.values() for each in ids}))

    def hashes(self, settings: Settings) -> list[tuple[SubjectKind, str]]:
        """What the list of erased ids keeps of them."""
        return [(kind, subject_hash(settings, each)) for kind in KINDS for each in sorted(self.ids[kind])]

    def condition(self, places: Iterable[Place]) -> str:
        """A condition, never null: a row names one of them. Needs ``parameters``; empty: none can."""
        listed = list(places)
        known = any_place(listed, {kind: f"{{}} in unnest(@ids_{kind})" for kind in KINDS if self.ids[kind]})
        return " or ".join(filter(None, [known, self.earlier.condition(listed)]))

    @property
    def parameters(self) -> list[QueryParameter]:
        """The ids, and salt and hashes, for the statement that holds ``condition``."""
        ids = [
            bigquery.ArrayQueryParameter(f"ids_{kind}", "STRING", sorted(self.ids[kind]))
            for kind in KINDS
            if self.ids[kind]
        ]
        return [*ids, *self.earlier.parameters]


def places_of(table: bigquery.Table) -> list[Place]:
    """Where a table names whose its rows are: columns after their name, and payloads of raw notifications."""
    places = column_places(table.schema)
    is_scratch = table.dataset_id.endswith("_scratch")
    contract = CONTRACTS.get(table.table_id.rpartition("_")[0] if is_scratch else table.table_id)
    columns = {field.name for field in table.schema if is_scratch or field.field_type == "JSON"}
    for column, names in (names_in(contract) if contract else {}).items():
        if column not in columns:
            continue
        for each in names:
            value = f"json_value(`{column}`, '$.{each.path}')"
            if each.of_types:
                value = f"if(starts_with(json_value(`{column}`, '$.type'), '{each.of_types}'), {value}, null)"
            places.append(Place(each.kind, value))
    return places


def find_subjects(warehouse: Warehouse, account_ids: Collection[str], earlier: ErasedSubjects) -> Subjects:
    """Everything that an erasure of the accounts erases, after raw and the history.

    ``earlier`` is what previous erasures of them have erased: their rows may be all that is left.

    Raises:
        WarehouseError: BigQuery did not answer, or no salt is configured.
    """
    settings = warehouse.settings
    persons = {*account_ids, *merged_accounts(warehouse, account_ids)}
    accounts = frozenset({*persons, *provider_names(warehouse, persons)})
    ids: dict[SubjectKind, frozenset[str]] = {kind: frozenset() for kind in KINDS} | {"account": accounts}
    parts = []
    for dataset in (settings.raw_dataset, settings.history_dataset):
        for table in warehouse.tables(dataset):
            places = places_of(table)
            others = [each for each in places if each.kind != "account" and not each.within]
            named = any_place(
                [each for each in places if each.kind == "account"], {"account": "{} in unnest(@accounts)"}
            )
            if not named or not others:
                continue
            if any(field.name == "role" for field in table.schema):
                # Of a plan's members only the payer's subscription is the account's.
                named = f"({named}) and role = 'payer'"
            values = ", ".join(f"struct('{each.kind}' as kind, {each.expression} as id)" for each in others)
            parts.append(
                f"select named.kind, named.id from `{full_name(table)}`, unnest([{values}]) as named "
                f"where ({named}) and named.id is not null"
            )
    if parts:
        found = warehouse.run(
            f"select distinct kind, id from ({' union all '.join(parts)})",
            parameters=[bigquery.ArrayQueryParameter("accounts", "STRING", sorted(accounts))],
        )
        for row in found:
            ids[row.kind] |= {row.id}
    return Subjects(ids, earlier)


def full_name(table: bigquery.Table) -> str:
    """project.dataset.table, unquoted."""
    return f"{table.project}.{table.dataset_id}.{table.table_id}"
