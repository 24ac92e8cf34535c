"""The page of a trained model: what its folder says of it, what was decided, and what was measured since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from loaders.scoring.artifacts import TrainedModel, fetched
from loaders.scoring.measures import measures_by_day
from loaders.scoring.registry import decisions
from loaders.warehouse.client import warehouse_of
from runs.training import UnknownModelError
from scoring.artifact import CODE
from scoring.page import page
from scoring.registry import NOTHING, ModelDecision, states
from segue.settings import Settings

PAGE_DAYS: Final = 60
"""So many days of measures are shown."""


@dataclass(frozen=True)
class ModelPage:
    """The page, and of which model it is."""

    name: str
    version: int
    html: str


def model_page(
    settings: Settings, name: str, version: int | None = None, day: date | None = None
) -> ModelPage:
    """The page as of the end of ``day``, by default of today.

    Without ``version`` it is of the model in use, else of that in shadow, else of the one trained last; with
    it, of the one trained last by that version of the declaration.

    Raises:
        UnknownModelError: nothing was trained by this name, or by this version.
        ArtifactError: the model's folder is not there, or a byte of it has changed.
        WarehouseError, ObjectStoreError: something does not answer.
    """
    warehouse, day = warehouse_of(settings), day or datetime.now(UTC).date()
    known = [each for each in decisions(warehouse, day, name) if each.artifact]
    state = states(known, day).get(name, NOTHING)
    trained = [each for each in known if version in (None, each.version)]
    if not trained:
        asked = name if version is None else f"{name} v{version}"
        raise UnknownModelError(f"no model was trained by {day} by the name {asked}")
    scoring = [each for each in (state.in_use, state.in_shadow) if each in trained]
    chosen = scoring[0] if scoring else trained[-1]
    artifact = fetched(settings, chosen)
    about = [each for each in known if each.artifact == chosen.artifact]
    watched = measures_by_day(warehouse, chosen.artifact, day - timedelta(days=PAGE_DAYS - 1), day)
    facts = _facts(artifact, about, "in use" if chosen == state.in_use else "")
    title = f"{name} v{chosen.version}"
    return ModelPage(name, chosen.version, page(title, artifact.description, watched, facts))


def _facts(trained: TrainedModel, about: list[ModelDecision], used: str) -> dict[str, str]:
    declared, described, last = trained.declaration, trained.description, about[-1]
    window, rows = described.window, described.rows
    decided = f"{last.decision} on {last.day} by {last.decided_by}"
    return {
        "description": declared.description,
        "owner": declared.owner,
        "kind": declared.kind,
        "predicts": declared.event_description,
        "state": f"{used}, {decided}" if used else decided,
        "because": "; ".join(last.reasons),
        "learned from": f"{rows['learning'] + rows['stopping']:,} examples of {window['learned_from']} to "
        f"{window['learned_to']}",
        "held back": f"{rows['held_out']:,} examples of {window['held_back_from']} to "
        f"{window['held_back_to']}",
        "artifact": last.artifact,
        # Of models that were trained before it was kept, the release alone is known.
        "code": described.versions.get(CODE, described.versions["segue"]),
    }
