"""What became of a run that is of no single day: a range in chunks, or a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from loaders.warehouse.ops import literal
from runs.steps import STEPS
from ui.reading import Reading, Row, text
from ui.step_rows import asked_end, last_tries, rows_of_run
from ui.visitor import MARTS_DAG

RANGE_DAG: Final = "restate_range"
TRAINING_DAG: Final = "train_models"
ELSEWHERE: Final[Mapping[str, str]] = {
    "offer_segments": "A load is on the page of its day, under Online.",
    "day_watch": "What it has found is told as an incident: `segue alerts list` has those that are open.",
    "model_watch": "What it has measured is on the page of each model, under Whether it still holds.",
    "experiments": "What it has read is on the page of each experiment.",
    "content": "What it has pulled lands with its day: the page of the day has it under What landed.",
}
"""By DAG, where what its runs do is to be seen."""


@dataclass(frozen=True)
class Chunk:
    """Days of a range that are built and published together: how each step of it has ended.

    ``day`` is the last that was asked for, the page of which is the chunk's; later days may be built with it.
    """

    day: date
    start_date: date
    end_date: date
    steps: Mapping[str, Row]
    """By the step's name, in the order of steps, as its last try ended."""

    @property
    def state(self) -> str:
        """One word: published, failed, or under way."""
        if [*self.steps.values()][-1]["state"] == "failed":
            return "failed"
        is_published = any(step.name in self.steps for step in STEPS if step.is_publication)
        return "published" if is_published else "under way"

    @property
    def seconds(self) -> float:
        """Of all its steps."""
        return sum(float(row["seconds"]) for row in self.steps.values())

    @property
    def finished_at(self) -> datetime:
        """When the last of its steps ended."""
        ended: list[datetime] = [row["finished_at"] for row in self.steps.values()]
        return max(ended)


def run_chunks(reading: Reading, run_id: str) -> list[Chunk]:
    """The chunks of a range of which a step has ended, the oldest first."""
    chunks: dict[date, list[Row]] = {}
    for row in rows_of_run(reading, run_id, RANGE_DAG):
        chunks.setdefault(asked_end(row), []).append(row)
    return [_chunk(day, chunks[day]) for day in sorted(chunks)]


def _chunk(day: date, rows: Sequence[Row]) -> Chunk:
    tries = last_tries(rows)
    return Chunk(day, tries[-1]["start_date"], tries[-1]["end_date"], {row["step"]: row for row in tries})


def run_decisions(reading: Reading, run_id: str) -> list[Row]:
    """What a training has decided, in its order."""
    return reading.ops(
        "select run_date, model_name, model_version, decision, reasons, artifact from {model_registry} "
        f"where run_date >= {literal(reading.settings.history_start_date)} and decided_by = @decided_by "
        "order by decided_at, model_name",
        "model_registry",
        text("decided_by", f"{TRAINING_DAG} {run_id}"),
    )


def sentences(dag_id: str) -> Iterable[str]:
    """What is said of a run that has no page."""
    yield f"A day's own page is made by the runs of {MARTS_DAG}."
    if dag_id in ELSEWHERE:
        yield ELSEWHERE[dag_id]
