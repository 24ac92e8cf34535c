"""A day's features as a model is given them: those of its population."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from loaders.warehouse.ops import literal
from scoring.declaration import ModelDeclaration
from segments.sql import predicate

NOBODY_ELSE: Final = "not is_test_account and not is_deletion_requested and not is_personalisation_withdrawn"
"""Whom no model scores, whatever its population is: none of them was learned from."""


def population_query(declaration: ModelDeclaration, features: str, days: Sequence[date]) -> str:
    """A query of the model's population on the days: feature_date, account_id and the model's features.

    ``features`` is the full name of a table with the columns of ``fct_account_features``.
    """
    columns = ", ".join(declaration.features)
    listed = ", ".join(literal(day) for day in days)
    return (
        f"select feature_date, account_id, {columns} from `{features}` "
        f"where feature_date in ({listed}) and {NOBODY_ELSE} and {predicate(declaration.population)}"
    )
