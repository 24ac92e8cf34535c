"""What models learn from on a day: ``int_training_examples``, built of published marts for one training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Final

from runs.attempts import begin_attempt, end_attempt
from runs.dbt import build
from runs.erased import keeping_nobody_erased, take_out_of_dataset
from runs.rivals import with_columns_of_rivals
from scoring.compiler import declared_values
from scoring.declaration import ModelDeclaration
from segue.settings import Settings
from segue.window import RunWindow

EXAMPLES: Final = "int_training_examples"


@contextmanager
def training_examples(settings: Settings, day: date, models: Mapping[str, ModelDeclaration]) -> Iterator[str]:
    """The full name of the table with the examples of ``models``, as known at the end of ``day``.

    It stands in an audit dataset of its own, which is gone afterwards. ``day`` has to be published: only who
    is there on it is learned from. Who is erased meanwhile is taken out before the table is given.

    Raises:
        BuildError: dbt could not build it.
        WarehouseError: BigQuery refused.
    """
    window = build_examples(settings, day, models)
    try:
        yield examples_table(settings, window)
    finally:
        end_attempt(settings, window)


def build_examples(settings: Settings, day: date, models: Mapping[str, ModelDeclaration]) -> RunWindow:
    """The same for whoever reads the table on another machine, and ends the attempt."""
    wider = {name: with_columns_of_rivals(settings, day, each) for name, each in models.items()}
    window = begin_attempt(settings, RunWindow.whole(settings, day, day))
    try:
        with keeping_nobody_erased(settings, window):
            build(settings, window, [EXAMPLES], variables=declared_values(wider))
            take_out_of_dataset(settings, window)
    except BaseException:
        end_attempt(settings, window)
        raise
    return window


def examples_table(settings: Settings, window: RunWindow) -> str:
    """The full name of what ``build_examples`` has built."""
    return f"{settings.project_id}.{window.audit_dataset}.{EXAMPLES}"
