"""What a candidate is judged beside: the columns that the models in use and in shadow go by."""

from __future__ import annotations

from datetime import date

from loaders.scoring.artifacts import fetched
from loaders.scoring.registry import states_on
from loaders.warehouse.client import warehouse_of
from scoring.artifact import ArtifactError
from scoring.declaration import ModelDeclaration
from scoring.registry import NOTHING
from segments.features import FEATURES
from segue.settings import Settings


def with_columns_of_rivals(settings: Settings, day: date, model: ModelDeclaration) -> ModelDeclaration:
    """The declaration by which examples are built and read: with what its rivals ask for behind its own.

    A new version of a model may have given up columns that the one in use goes by. A rival that cannot be
    read asks for nothing here: whoever judges by it says so.

    Raises:
        WarehouseError, ObjectStoreError: something does not answer.
    """
    state = states_on(warehouse_of(settings), day).get(model.name, NOTHING)
    more: dict[str, None] = {}
    for each in (state.in_use, state.in_shadow):
        if each is None:
            continue
        try:
            asked = fetched(settings, each.artifact_uri).model.features
        except ArtifactError:
            continue
        more |= dict.fromkeys(feature.name for feature in asked if feature.name in FEATURES)
    added = [name for name in more if name not in model.features]
    return model.model_copy(update={"features": [*model.features, *added]})
