"""Compiles the declarations to macros, by which ``int_training_examples`` knows what models learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scoring.declaration import ModelDeclaration
from scoring.events import EVENTS, Event
from segments.features import FEATURES
from segments.rule import BASIS_POINTS
from segments.sql import predicate
from segue.dbt_values import value_macro
from segue.shipped import DBT_PROJECT_DIR

MACROS_FILE: Final = DBT_PROJECT_DIR / "macros/scoring_models.sql"
_HEAD: Final = """-- fmt: off
{# Made by `segue models compile` from scoring/models/*.yml and scoring/events.py; edit those. #}

"""


def declared_values(models: Mapping[str, ModelDeclaration]) -> dict[str, list[dict[str, Any]]]:
    """What the macro ``declared_models`` returns: an object a model, in the order of their names.

    Given to dbt as a variable, it counts instead of what was compiled.
    """
    return {"declared_models": [_model(each) for _, each in sorted(models.items())]}


def compile_macros(models: Mapping[str, ModelDeclaration]) -> str:
    """The macros ``declared_models``, ``declared_events`` and ``declared_features``.

    Features are all there are: a model that is in use may go by some that its next version does not, and both
    are judged by the same examples.
    """
    events = [_event(name, each) for name, each in EVENTS.items()]
    macros = [
        *(value_macro(name, values) for name, values in declared_values(models).items()),
        value_macro("declared_events", events),
        value_macro("declared_features", [{"name": name} for name in FEATURES]),
    ]
    return _HEAD + "\n".join(macros)


def negative_buckets(model: ModelDeclaration) -> int:
    """How many hash buckets of ``BASIS_POINTS`` hold the examples without the event that are learned from."""
    return max(1, round(model.training.negatives * BASIS_POINTS))


def _model(model: ModelDeclaration) -> dict[str, Any]:
    training, treatment = model.training, model.treatment
    return {
        "name": model.name,
        "event": model.target.event,
        "within_days": model.target.within_days,
        "population": predicate(model.population),
        "days": training.days,
        "holdout_days": training.holdout_days,
        "every": training.every,
        "negative_buckets": negative_buckets(model),
        "most_examples": training.most_examples,
        "experiment": treatment and treatment.experiment,
        "control": treatment and treatment.control,
        "treated": treatment and list(treatment.treated),
    }


def _event(name: str, event: Event) -> dict[str, Any]:
    return {
        "name": name,
        "mart": event.mart,
        "account": event.account,
        "partition": event.partition,
        "day": event.day,
        "at": event.at,
        "condition": event.condition,
        "reach_days": event.reach_days,
        "settles_days": event.settles_days,
    }
