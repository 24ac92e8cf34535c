"""What became of a run that is of no single day: a range in chunks, or a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Final

from loaders.warehouse.ops import literal
from runs.steps import STEPS
from ui.reading import Reading, Row, text
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
    """Days of a range that are built and published together: how each step of it has ended."""

    start_date: date
    end_date: date
    steps: Mapping[str, Row]
    """By the step's name, as its last try ended."""

    @property
    def state(self) -> str:
        """One word: published, failed, or under way."""
        if any(row["state"] == "failed" for row in self.steps.values()):
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
    rows = reading.ops(
        "select * from {run_steps} where run_id = @run_id order by end_date, finished_at",
        "run_steps",
        text("run_id", run_id),
    )
    return [_chunk([*of_chunk]) for _, of_chunk in groupby(rows, lambda row: row["end_date"])]


def _chunk(rows: Sequence[Row]) -> Chunk:
    last = rows[-1]
    return Chunk(last["start_date"], last["end_date"], {row["step"]: row for row in rows})


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
