"""How far what a trained model sees on a day is from its training, and whether that lets it be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import pyarrow as pa

from loaders.scoring.artifacts import TrainedModel, fetched
from loaders.scoring.features import population_query
from loaders.scoring.measures import NEWEST_DAYS, newest_measures, replace_measures
from loaders.warehouse.client import Warehouse, warehouse_of
from scoring.columns import Floats, encoded
from scoring.distribution import distribution_like
from scoring.registry import ModelDecision
from scoring.stability import Measure, blocking_reasons, drift_of, is_drift_known
from scoring.training_examples import as_learned
from segue.settings import Settings

SAMPLE_ACCOUNTS: Final = 20_000
"""Of a model's population, by hash: chance moves an index of ten bins by less than 0.002 of so many."""
_FEATURES: Final = "fct_account_features"


@dataclass(frozen=True)
class Seen:
    """Accounts of a model's population on a day, as it sees them, and how far they are from training."""

    accounts: pa.Array
    matrix: Floats
    measures: tuple[Measure, ...]


def measure_drift(settings: Settings, decision: ModelDecision, trained: TrainedModel, day: date) -> Seen:
    """Measure a trained model on a day, and keep the measures; none where nobody was of its population.

    Doing it again gives the same measures.

    Raises:
        WarehouseError: BigQuery does not answer.
    """
    warehouse, model = warehouse_of(settings), trained.model
    sample = as_learned(_sample(warehouse, trained, day))
    matrix = encoded(sample, model.features, f"{decision.model} on {day}")
    measures: tuple[Measure, ...] = ()
    if sample.num_rows:
        training = trained.description.distribution
        now = distribution_like(training, model.features, matrix, model.scores(matrix))
        measures = tuple(drift_of(training, now))
        replace_measures(warehouse, decision, day, measures)
    return Seen(sample.column("account_id"), matrix, measures)


def against_use(settings: Settings, decision: ModelDecision, day: date) -> list[str]:
    """Why a trained model must not be put into use on a day, whatever else speaks for it; empty: it may be.

    What is critical of it, by the newest measures; what nobody has measured lately is measured now. That it
    cannot be, because the day is not published or nobody is of its population, is a reason itself.

    Raises:
        ArtifactError: the model cannot be read.
        WarehouseError, ObjectStoreError: something does not answer.
    """
    warehouse = warehouse_of(settings)
    known = newest_measures(warehouse, decision.artifact, day)
    if not is_drift_known(known) and _features_table(warehouse) is not None:
        measure_drift(settings, decision, fetched(settings, decision), day)
        known = newest_measures(warehouse, decision.artifact, day)
    reasons = blocking_reasons(known)
    if not is_drift_known(known):
        since = day - timedelta(days=NEWEST_DAYS - 1)
        reasons.append(
            f"its drift is not known: nobody of its population has published features of {since} to {day} "
            "that it was measured on"
        )
    return reasons


def _features_table(warehouse: Warehouse) -> object | None:
    return warehouse.find_table(warehouse.table(warehouse.settings.marts_dataset, _FEATURES))


def _sample(warehouse: Warehouse, trained: TrainedModel, day: date) -> pa.Table:
    """Accounts of the model's population with its features, the same ones day after day."""
    marts = warehouse.table(warehouse.settings.marts_dataset, _FEATURES)
    return warehouse.fetch_arrow(
        f"select * from ({population_query(trained.declaration, marts, [day])}) as population "
        f"order by farm_fingerprint(account_id), account_id limit {SAMPLE_ACCOUNTS}"
    )
