"""Rows of ``ops.run_steps``: which of them are of the same work, and which still say how that stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from loaders.warehouse.ops import literal
from runs.steps import STEPS
from ui.reading import Reading, Row, text

_PLACES: Final = {step.name: place for place, step in enumerate(STEPS)}
_LAST_PLACE: Final = len(STEPS)
_PUBLICATION: Final = max(_PLACES[step.name] for step in STEPS if step.is_publication)


def rows_of_run(reading: Reading, run_id: str, dag_id: str) -> list[Row]:
    """How steps of a DAG's run have ended, in that order; Airflow's ids of runs are unique by DAG only.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    rows = reading.ops(
        f"select * from {{run_steps}} where run_date >= {literal(reading.settings.history_start_date)} "
        "and run_id = @run_id order by finished_at",
        "run_steps",
        text("run_id", run_id),
    )
    # Rows of earlier versions name no DAG, and a table of theirs has no such column.
    return [row for row in rows if row.get("dag_id") in (None, dag_id)]


def asked_end(row: Row) -> date:
    """The last day that was asked for, by which the chunks of a run are told apart.

    The days that are built are not the same from try to try: ``land`` widens them by published days that
    have to be built again. Rows of earlier versions have those only.
    """
    end: date = row.get("asked_end_date") or row["end_date"]
    return end


def last_tries(rows: Sequence[Row]) -> list[Row]:
    """The last try of each step, in the order of steps, of ``rows`` in the order in which they ended.

    What comes after a step that has ended again since is of an attempt that is given up, and is left out.
    """
    last: dict[str, Row] = {}
    for row in rows:
        place = _place(row)
        last = {name: each for name, each in last.items() if _place(each) < place} | {row["step"]: row}
    return [*last.values()]


def has_failed_since(tries: Sequence[Row], published: Row | None) -> bool:
    """Whether the last of the tries has failed, and so kept what is ``published`` from being replaced."""
    if not tries or tries[-1]["state"] != "failed":
        return False
    if published is None:
        return True
    is_in_the_way = _place(tries[-1]) <= _PUBLICATION
    return is_in_the_way and bool(tries[-1]["finished_at"] > published["published_at"])


def _place(row: Row) -> int:
    return _PLACES.get(row["step"], _LAST_PLACE)
