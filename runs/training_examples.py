"""What models learn from on a day: ``int_training_examples``, built of published marts for one training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Final

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ledger_time import reading_time
from runs.attempts import begin_attempt, end_attempt
from runs.dbt import build
from runs.erased import keeping_nobody_erased, take_out_of_dataset
from runs.scores import published_days
from scoring.compiler import declared_values
from scoring.declaration import ModelDeclaration
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import RunWindow

EXAMPLES: Final = "int_training_examples"


class TrainingError(SegueError):
    """Models could not be trained; what is in use stays so."""

    code = "training"
    hint = "mend what is named and train these models again; the others are trained"


@contextmanager
def training_examples(settings: Settings, day: date, models: Mapping[str, ModelDeclaration]) -> Iterator[str]:
    """The full name of the table with the examples of ``models``, as known at the end of ``day``.

    It stands in an audit dataset of its own, which is gone afterwards. ``day`` has to be published: only who
    is there on it is learned from. Who is erased meanwhile is taken out before the table is given.

    Raises:
        TrainingError: the day is not published.
        BuildError: dbt could not build it.
        WarehouseError: BigQuery refused.
    """
    window = build_examples(settings, day, models)
    try:
        yield examples_table(settings, window)
    finally:
        end_attempt(settings, window)


def build_examples(settings: Settings, day: date, models: Mapping[str, ModelDeclaration]) -> RunWindow:
    """The same for whoever reads the table on another machine, and ends the attempt.

    Raises:
        TrainingError: the day is not published. That is no finding about a model, and nothing is recorded.
        BuildError: dbt could not build it.
        WarehouseError: BigQuery refused.
    """
    if day not in published_days(warehouse_of(settings), day, day):
        raise TrainingError(f"{day} is not published, and nobody is known of whom may be learned")
    read_at = reading_time(warehouse_of(settings))
    window = begin_attempt(settings, RunWindow.whole(settings, day, day, raw_read_at=read_at))
    try:
        with keeping_nobody_erased(settings, window):
            build(settings, window, [EXAMPLES], variables=declared_values(models))
            take_out_of_dataset(settings, window)
    except BaseException:
        end_attempt(settings, window)
        raise
    return window


def examples_table(settings: Settings, window: RunWindow) -> str:
    """The full name of what ``build_examples`` has built."""
    return f"{settings.project_id}.{window.audit_dataset}.{EXAMPLES}"
