"""Accounts that are erased while a run is under way: what the run has read of them must not come back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import structlog
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.erasures import ErasedSubjects, column_places, pending_query
from loaders.warehouse.ops import literal
from runs.published import PublishedMart
from runs.verdict import judged_again
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import RunWindow

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TakenOut:
    """How many erased ids are out of what a run publishes, and how many rows that took, by mart and day."""

    subjects: int = 0
    rows: Mapping[tuple[str, date], int] = field(default_factory=dict)

    def rows_of(self, mart: PublishedMart) -> str:
        """A query of the rows of one mart: (erased_day, rows_erased); empty: none."""
        days = [(day, rows) for (name, day), rows in sorted(self.rows.items()) if name == mart.name]
        structs = ", ".join(
            f"struct({literal(day)} as erased_day, {rows} as rows_erased)" for day, rows in days
        )
        return f"select erased_day, rows_erased from unnest([{structs}])" if days else ""


def erased_count(warehouse: Warehouse, window: RunWindow) -> str:
    """An expression: how many ids were erased that the run may have read; 0 while nobody is erased."""
    return f"(select count(*) from ({pending_query(warehouse, window.history.raw_read_at)}))"


def take_out(
    warehouse: Warehouse,
    window: RunWindow,
    marts: Iterable[PublishedMart],
    columns: Mapping[str, Sequence[bigquery.SchemaField]],
    before: TakenOut,
) -> TakenOut:
    """Removes rows of erased accounts from what the gate has let through; ``before`` is already out.

    The verdict then speaks of what is left.

    Raises:
        WarehouseError: a statement failed; calling it again goes on.
    """
    erased = ErasedSubjects.read(warehouse, window.history.raw_read_at)
    rows = dict(before.rows)
    for mart in marts:
        condition = erased.condition(column_places(columns[mart.name]))
        if not condition:
            continue
        table = window.table(mart.name)
        counted = warehouse.run(
            f"select {mart.day_expression} as day, count(*) as found from {table} "
            f"where {condition} group by 1",
            parameters=erased.parameters,
        )
        found = {(mart.name, row.day): int(row.found) for row in counted}
        if found:
            warehouse.run(f"delete from {table} where {condition}", parameters=erased.parameters)
            # Cut off before this, the rows are no longer those that were judged, and are judged again.
            warehouse.run(judged_again(warehouse.settings, window, mart))
        for key, count in found.items():
            rows[key] = rows.get(key, 0) + count
    log.info("erased_meanwhile", subjects=len(erased), rows=sum(rows.values()))
    return TakenOut(len(erased), rows)


def take_out_of_dataset(settings: Settings, window: RunWindow) -> None:
    """Removes rows of accounts that were erased meanwhile from every table that a run has built in.

    Raises:
        WarehouseError: a statement failed; calling it again goes on.
    """
    warehouse = warehouse_of(settings)
    erased = ErasedSubjects.read(warehouse, window.history.raw_read_at)
    if not erased:
        return
    for table in warehouse.tables(window.audit_dataset):
        condition = erased.condition(column_places(table.schema))
        if condition:
            warehouse.run(
                f"delete from {window.table(table.table_id)} where {condition}", parameters=erased.parameters
            )


def was_anybody_erased(settings: Settings, window: RunWindow) -> bool:
    """Whether anybody was erased whose rows the run may have read.

    Raises:
        WarehouseError: the list cannot be read.
    """
    return bool(ErasedSubjects.read(warehouse_of(settings), window.history.raw_read_at))


@contextmanager
def keeping_nobody_erased(settings: Settings, window: RunWindow) -> Iterator[None]:
    """What a failed step leaves for whoever looks into it holds nobody who was erased meanwhile."""
    try:
        yield
    except SegueError:
        take_out_of_dataset(settings, window)
        raise
