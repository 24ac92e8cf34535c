"""The accounts' rows in BigQuery: searched for in every table that the platform keeps, whatever its columns.

Two questions are asked of a row: does it name one of the erased ids where ids stand (columns, payloads), and
does its JSON mention one anywhere? What names one is deleted; so is what mentions one among refused rows and
operational notes, and in notifications that name no account at all. Rows of others are never deleted: a
mention that is left in one fails the proof.

However many accounts are erased together, a table is read by one statement and changed by one, which names
the partitions to change: the others are neither read again nor rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from google.cloud import bigquery

from loaders.erasure.mentions import mention_patterns
from loaders.erasure.subjects import Subjects, full_name, places_of
from loaders.warehouse.client import QueryParameter, Warehouse
from loaders.warehouse.ops import literal

_TABLES_PER_STATEMENT: Final = 20

Days = Mapping[date | None, int]
"""Rows found, by the day of their partition; ``None``: without a day, or of a table without partitions."""


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

    def find(self, tables: Iterable[bigquery.Table]) -> dict[str, Days]:
        """Rows that name or mention a subject, by full name of the table and by day; each is read once."""
        listed = list(tables)
        found: dict[str, dict[date | None, int]] = {full_name(table): {} for table in listed}
        for start in range(0, len(listed), _TABLES_PER_STATEMENT):
            part = listed[start : start + _TABLES_PER_STATEMENT]
            rows = self._warehouse.run(
                "\nunion all ".join(
                    f"select '{full_name(table)}' as erased_from, {_day(table)} as erased_day, "
                    f"count(*) as found from `{full_name(table)}` as erased_row "
                    f"where {self._held(table)} group by erased_from, erased_day"
                    for table in part
                ),
                parameters=self._parameters(),
            )
            for row in rows:
                found[row.erased_from][row.erased_day] = int(row.found)
        return dict(found)

    def delete(self, table: bigquery.Table, days: Days) -> None:
        """Removes the subjects' rows of these days; of others' rows, mentions stay."""
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
                f"delete from `{full_name(table)}` as erased_row "
                f"where {_within(table, days)} and ({' or '.join(conditions)})",
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


def _partitioned_by(table: bigquery.Table) -> str | None:
    """The column of days that a table is partitioned by."""
    column = table.time_partitioning.field if table.time_partitioning else None
    days = {field.name for field in table.schema if field.field_type == "DATE"}
    return column if column in days else None


def _day(table: bigquery.Table) -> str:
    column = _partitioned_by(table)
    return "cast(null as date)" if column is None else f"erased_row.`{column}`"


def _within(table: bigquery.Table, days: Days) -> str:
    """A condition by which BigQuery knows which partitions a statement is about: constants, no parameters."""
    column = _partitioned_by(table)
    if column is None:
        return "true"
    listed = ", ".join(literal(day) for day in sorted(day for day in days if day is not None))
    conditions = [f"`{column}` in ({listed})"] if listed else []
    conditions += [f"`{column}` is null"] if None in days else []
    return f"({' or '.join(conditions)})"
