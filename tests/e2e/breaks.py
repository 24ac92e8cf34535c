"""Ways in which a day's delivery can be broken."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BREAKS: dict[str, tuple[str, str]] = {
    "a duplicated subscription period": ("validate", "duplicated subscription period"),
    "a null plan": ("validate", "plan_id"),
    "a missing file": ("land", "fx_rates"),
    "a truncated Parquet": ("land", "payments"),
}
"""How a day is broken → the task that must fail, and what its log must name."""

DELIVERIES = (
    ("a missing file",),
    ("a truncated Parquet",),
    # The gate names all that is wrong, and a run up to the gate is long: both in one.
    ("a duplicated subscription period", "a null plan"),
)
"""The kinds that are delivered together."""


def first_file(landing: Path, table: str, day: date) -> Path:
    """A file of the table's arrival day."""
    return sorted((landing / table / str(day)).iterdir())[0]


def break_day(landing: Path, kind: str, day: date) -> None:
    """Damage the arrival day in one of the ways that ``BREAKS`` names."""
    if kind == "a missing file":
        shutil.rmtree(landing / "fx_rates" / str(day))
    elif kind == "a truncated Parquet":
        payments = first_file(landing, "payments", day)
        payments.write_bytes(payments.read_bytes()[:-100])
    elif kind == "a null plan":
        _add_opening(landing, day, "planless", subscription_id="planless", plan_id=None)
    else:
        _add_opening(landing, day, "opened-twice")


def _add_opening(landing: Path, day: date, event_id: str, **values: str | None) -> None:
    """Add to the day's events the opening of a subscription, made of a renewal."""
    events = first_file(landing, "subscription_events", day)
    table = pq.read_table(events)
    row = table.filter(pc.equal(table["event_type"], "renewed")).slice(0, 1)
    for column, value in {"event_type": "started", "provider_event_id": event_id, **values}.items():
        field = row.schema.field(column)
        row = row.set_column(row.schema.get_field_index(column), field, pa.array([value], field.type))
    pq.write_table(pa.concat_tables([table, row]), events)
