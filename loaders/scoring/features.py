"""A day's features as a model is given them: its population, fixed in a table, read in streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import literal
from segments.sql import predicate

if TYPE_CHECKING:
    from scoring.declaration import ModelDeclaration

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


def stage(
    warehouse: Warehouse, name: str, declaration: ModelDeclaration, features: str, days: Sequence[date]
) -> dict[date, int]:
    """Fix the population of the days in a table; returns how many accounts each has.

    ``name`` and ``features`` are full names.

    Raises:
        WarehouseError: BigQuery refused; a feature may be gone.
    """
    warehouse.run(
        f"create or replace table `{name}` partition by feature_date cluster by account_id as "
        f"{population_query(declaration, features, days)}"
    )
    counted = warehouse.run(
        f"select feature_date, count(*) as accounts from `{name}` "
        f"where feature_date in ({', '.join(map(literal, days))}) group by feature_date"
    )
    found = {row.feature_date: int(row.accounts) for row in counted}
    return {day: found.get(day, 0) for day in days}


def staged(warehouse: Warehouse, name: str, day: date) -> Iterator[pa.RecordBatch]:
    """The staged accounts of a day over the Storage Read API; memory holds one page.

    Raises:
        WarehouseError, GoogleAPIError: BigQuery does not answer.
    """
    return warehouse.read_arrow(name, row_restriction=f"feature_date = {literal(day)}")
