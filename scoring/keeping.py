"""What is written down of a model that was just trained, beside its trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring import artifact
from scoring.distribution import distribution_of_training
from scoring.examples import Examples
from scoring.insights import insights_of
from scoring.model import Model


def keep(
    folder: Path,
    model: Model,
    examples: Examples,
    declared: Mapping[str, Any],
    metrics: Mapping[str, Any],
    window: Mapping[str, str] | None = None,
    divisions: Mapping[str, Sequence[str | None]] | None = None,
) -> Path:
    """Write a model below ``folder``; ``divisions`` are those of ``slices_of``, of the held-out rows.

    Raises:
        OSError: the folder cannot be written.
    """
    held_out = examples.held_out
    return artifact.write(
        folder,
        model,
        declared=declared,
        rows=examples.counts,
        data_digest=examples.data_digest,
        metrics=metrics,
        distribution=distribution_of_training(model, examples, examples.weights),
        insights=insights_of(
            model,
            examples.matrix[held_out],
            examples.outcomes[held_out],
            None if examples.is_treated is None else examples.is_treated[held_out],
            divisions,
        ),
        window=window,
    )
