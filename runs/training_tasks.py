"""A training in tasks: chosen on one worker, built on another, and trained model by model on more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from loaders.scoring.examples import kept, read_examples
from loaders.warehouse.client import warehouse_of
from runs.erased import take_out_of_dataset
from runs.training import declared_models, due, train_each
from runs.training_examples import build_examples, examples_table
from segue.settings import Settings
from segue.window import RunWindow


def chosen(settings: Settings, day: date, names: Sequence[str] = ()) -> list[str]:
    """The models that are to be trained as of ``day``: those that are named, or those that are due.

    Raises:
        DeclarationsError: the files have mistakes.
        UnknownModelError: a name is not declared.
        WarehouseError: BigQuery did not answer.
    """
    models = declared_models(settings, names)
    return list(models if names else due(settings, day, models))


def build_for(settings: Settings, day: date, names: Sequence[str]) -> RunWindow:
    """Build what the models learn from as of ``day``; returns where.

    Raises:
        TrainingError: the day is not published.
        BuildError: dbt could not build the examples.
        WarehouseError: BigQuery did not answer.
    """
    return build_examples(settings, day, declared_models(settings, names))


def train_one(settings: Settings, window: RunWindow, name: str, decided_by: str) -> list[str]:
    """Train a model on what was built, evaluate it and decide; returns a line for each decision.

    Whoever was erased since the examples were built is not learned from.

    Raises:
        TrainingError: it could not be trained.
        WarehouseError: BigQuery did not answer.
    """
    take_out_of_dataset(settings, window)
    warehouse, table = warehouse_of(settings), examples_table(settings, window)
    models = declared_models(settings, [name]).values()
    found = train_each(
        settings,
        window.end_date,
        models,
        lambda model: kept(read_examples(warehouse, table, model)),
        decided_by,
    )
    return [f"{each.model} {each.version}: {each.decision}: {'; '.join(each.reasons)}" for each in found]
