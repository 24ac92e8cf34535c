"""Trained models of a feature or two, as training would leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scoring import artifact
from scoring.columns import Feature
from scoring.declaration import ModelDeclaration
from scoring.distribution import distribution_of_training
from scoring.examples import Examples
from scoring.insights import insights_of
from scoring.model import Model, train


def declaration(name: str = "trial_propensity", **other: object) -> ModelDeclaration:
    """A model of who is not entitled, by how long they have been there."""
    declared: dict[str, object] = {
        "name": name, "version": 3, "owner": "growth", "description": "Who starts a trial.",
        "kind": "propensity", "target": {"event": "trial_started", "within_days": 14},
        "population": {"feature": "is_entitled", "equals": False}, "features": ["tenure_days"],
        "minimum": {"rows": 100, "events": 40, "auc": 0.5}, "training": {"days": 7, "holdout_days": 7},
        "shadow_days": 0, "max_age_days": 14,
    }  # fmt: skip
    return ModelDeclaration.model_validate(declared | other)


def trained(folder: Path, declared: ModelDeclaration, seed: int = 1) -> tuple[Model, Path]:
    """A model by which newcomers are likelier than others, and its folder below ``folder``."""
    draw = np.random.default_rng(seed)
    matrix = draw.integers(0, 400, (2_000, 1)).astype(float)
    outcomes = (draw.random(2_000) < np.where(matrix[:, 0] < 100, 0.7, 0.2)).astype(float)
    part = np.arange(2_000) % 10
    examples = Examples(
        features=(Feature(name="tenure_days", kind="number"),),
        matrix=matrix,
        outcomes=outcomes,
        is_treated=None,
        learning=part < 6,
        stopping=(part >= 6) & (part < 8),
        held_out=part >= 8,
        data_digest="made up",
        warnings=(),
    )
    model = train(examples)
    held_out = examples.held_out
    return model, artifact.write(
        folder,
        model,
        declared=declared.model_dump(mode="json", by_alias=True, exclude_none=True),
        rows={"learning": 1_200, "stopping": 400, "held_out": 400},
        data_digest=examples.data_digest,
        metrics={},
        distribution=distribution_of_training(model, examples),
        insights=insights_of(model, matrix[held_out], outcomes[held_out], None),
    )
