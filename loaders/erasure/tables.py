"""The account's rows in BigQuery: searched for in every table that the platform keeps, whatever its columns.

Two questions are asked of a row: does it name one of the erased ids where ids stand (columns, payloads), and
does its JSON mention one anywhere? What names one is deleted; so is what mentions one among refused rows and
operational notes, and in notifications that name no account at all. Rows of others are never deleted: a
mention that is left in one fails the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from google.cloud import bigquery

from loaders.erasure.mentions import mention_patterns
from loaders.erasure.subjects import Subjects, full_name, places_of
from loaders.warehouse.client import QueryParameter, Warehouse

_TABLES_PER_STATEMENT: Final = 20


def platform_tables(warehouse: Warehouse) -> Iterator[bigquery.Table]:
    """Every table that the platform keeps, also those of runs under way and of killed ones."""
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
    built = (settings.audit_dataset_prefix, settings.as_of_dataset_prefix)
    for dataset in warehouse.datasets():
        if dataset in fixed or any(dataset == each or dataset.startswith(f"{each}_") for each in built):
            yield from warehouse.tables(dataset)


class Search:
    """Looks for, and removes, the rows of erased subjects."""

    def __init__(self, warehouse: Warehouse, subjects: Subjects) -> None:
        settings = warehouse.settings
        self._warehouse = warehouse
        self._subjects = subjects
        # Refused rows and notes of what went wrong: nobody's data but whose they mention.
        self._notes = {
            settings.quarantine_dataset,
            settings.ops_dataset,
            f"{settings.raw_dataset}_scratch",
        }

    def count(self, tables: Iterable[bigquery.Table]) -> dict[str, int]:
        """Rows that name or mention a subject, by full name of the table; each table is read once."""
        found: dict[str, int] = {}
        listed = list(tables)
        for start in range(0, len(listed), _TABLES_PER_STATEMENT):
            part = listed[start : start + _TABLES_PER_STATEMENT]
            rows = self._warehouse.run(
                "\nunion all ".join(
                    f"select '{full_name(table)}' as name, "
                    f"countif({self._held(table)}) as found "
                    f"from `{full_name(table)}` as erased_row"
                    for table in part
                ),
                parameters=self._parameters(),
            )
            found |= {row.name: int(row.found) for row in rows}
        return found

    def delete(self, table: bigquery.Table) -> None:
        """Removes the subjects' rows; of others' rows, mentions stay."""
        named = self._named(table)
        conditions = [named] if named else []
        if table.dataset_id in self._notes:
            conditions.append(self._mentioned(table))
        elif any(field.field_type == "JSON" for field in table.schema):
            accounts = [each for each in places_of(table) if each.kind == "account"]
            nobody = [f"not {each.holds('{} is not null')}" for each in accounts]
            conditions.append(f"(({self._mentioned(table)}) and {' and '.join(nobody or ['true'])})")
        if conditions:
            self._warehouse.run(
                f"delete from `{full_name(table)}` as erased_row where {' or '.join(conditions)}",
                parameters=self._parameters(),
            )

    def _held(self, table: bigquery.Table) -> str:
        return " or ".join(filter(None, [self._named(table), self._mentioned(table)]))

    def _named(self, table: bigquery.Table) -> str:
        return self._subjects.condition(places_of(table))

    def _mentioned(self, table: bigquery.Table) -> str:
        pattern = "@in_notes" if table.dataset_id in self._notes else "@in_data"
        return f"regexp_contains(to_json_string(erased_row), {pattern})"

    def _parameters(self) -> Sequence[QueryParameter]:
        def pattern(name: str, *, quoted_is_enough: bool) -> QueryParameter:
            found = mention_patterns(self._subjects, quoted_is_enough=quoted_is_enough)
            return bigquery.ScalarQueryParameter(name, "STRING", "|".join(found))

        return [
            *self._subjects.parameters,
            pattern("in_notes", quoted_is_enough=True),
            pattern("in_data", quoted_is_enough=False),
        ]
