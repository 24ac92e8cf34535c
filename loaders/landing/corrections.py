"""Arrival days that land with other rows than before: what changed, and how far back in time.

A published day that was built from the rows as they were has to be built again; ``ops.corrections`` is what
later runs find it by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from google.cloud import bigquery

from loaders.landing.row import LandingRow
from loaders.landing.schema import bigquery_schema
from loaders.warehouse.ops import literal, this_run

_LINEAGE = frozenset({"landing_file", "landing_row"})
"""A row that is delivered in another file is the same row."""


def correction_statement(
    contract: type[LandingRow],
    table: str,
    corrections: str,
    rows: str | None,
    days: Mapping[date, date],
    corrected_at: str,
) -> str:
    """The statement that compares what raw holds of ``days`` with what is about to replace it.

    It adds a row to ``corrections`` for each day that changes, none for a file that says the same again.
    ``table``, ``corrections`` and ``rows`` are full names; without ``rows`` the days become empty. ``days``
    gives each day the first that its own run restates: what counts where rows do not say when they happened.
    ``corrected_at`` is an expression.
    """
    schema = [field for field in bigquery_schema(contract) if field.name not in _LINEAGE]
    listed = ", ".join(literal(day) for day in days)
    names = ", ".join(f"`{field.name}`" for field in schema)
    held = _select(schema, table, listed, "true", is_written=False)
    coming = f"\n    union all\n    {_select(schema, rows, listed, 'false', is_written=True)}" if rows else ""
    return (
        f"insert into `{corrections}`\n"
        "(run_date, table_name, first_event_date, rows_removed, rows_added, corrected_at, run_id)\n"
        "with versions as (\n"
        f"    {held}{coming}\n"
        "), distinct_versions as (\n"
        f"    select {names}, logical_or(was_held) as was_held, logical_or(not was_held) as is_coming\n"
        f"    from versions group by {names}\n"
        ")\n"
        f"select arrival_date, {literal(contract.table)}, min({_event_day(contract, days)}), "
        f"countif(not is_coming), countif(not was_held), {corrected_at}, {this_run()}\n"
        "from distinct_versions where was_held <> is_coming group by arrival_date"
    )


def _select(
    schema: Sequence[bigquery.SchemaField], table: str, days: str, was_held: str, *, is_written: bool
) -> str:
    """The rows of a table, with JSON as its text: it cannot be grouped by."""
    columns = []
    for field in schema:
        column = f"`{field.name}`"
        if field.field_type == "JSON":
            value = f"parse_json({column}, wide_number_mode => 'round')" if is_written else column
            column = f"to_json_string({value}) as {column}"
        columns.append(column)
    return (
        f"select {', '.join(columns)}, {was_held} as was_held from `{table}` where arrival_date in ({days})"
    )


def _event_day(contract: type[LandingRow], days: Mapping[date, date]) -> str:
    cases = " ".join(f"when {literal(day)} then {literal(first)}" for day, first in days.items())
    of_its_arrival = f"case arrival_date {cases} end"
    if contract.event_time is None or contract.tells_again:
        return of_its_arrival
    is_date = contract.model_fields[contract.event_time].annotation is date
    own = f"least(arrival_date, {contract.event_time if is_date else f'date({contract.event_time})'})"
    if contract.replaces_by:
        return f"if({contract.replaces_by} is not null, {of_its_arrival}, {own})"
    return own


def days_to_compare(days: Collection[date], landed: Collection[date]) -> list[date]:
    """Of the days that land now those that a published day may have been built without.

    A day that landed before, and one that comes after its successors: a late delivery corrects, too.
    """
    last = max(landed, default=None)
    return [day for day in days if last is not None and day <= last]
