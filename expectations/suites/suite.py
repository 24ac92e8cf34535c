"""The shape of a suite, and the few expectation patterns that every mart shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import great_expectations.expectations as gxe

from expectations.counted import NoRows, RowsBetween, UniqueTogether
from loaders.warehouse.client import Warehouse
from segue.window import RunWindow

CRITICAL = "critical"
"""A failure stops the run before anything is published."""
WARNING = "warning"
"""A failure is recorded and shown; the run goes on."""


Measured = Callable[[Warehouse, RunWindow], list[gxe.Expectation]]
"""Expectations whose bounds are computed from the run itself or from what was published before."""


@dataclass(frozen=True)
class MartSuite:
    """Expectations on one model.

    ``key`` are the columns that find an offending row again; they are reported with every failure.
    ``day_column`` is the partition column (empty: the model is published whole), ``restates_days`` how far
    before the run's first day it reaches, ``as_known_then`` that late events do not change its days; of a
    published model the dbt project says all three.
    """

    model: str
    key: tuple[str, ...]
    expectations: tuple[gxe.Expectation, ...]
    day_column: str = ""
    restates_days: int = 0
    as_known_then: bool = False
    watch_row_count: bool = True
    measured: Measured | None = None

    def filter(self, window: RunWindow) -> str:
        """The constant partition filter of what the run built."""
        if not self.day_column:
            return "true"
        return window.partitions(self.day_column, self.restates_days, as_known_then=self.as_known_then)


def unique_key(*columns: str) -> gxe.Expectation:
    """No two rows share these columns."""
    if len(columns) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=columns[0], severity=CRITICAL)
    return UniqueTogether(column_list=list(columns), severity=CRITICAL)


def not_null(*columns: str) -> Iterable[gxe.Expectation]:
    """Each of these columns has a value in every row."""
    return [gxe.ExpectColumnValuesToNotBeNull(column=column, severity=CRITICAL) for column in columns]


def one_of(column: str, values: Sequence[str], severity: str = CRITICAL) -> gxe.Expectation:
    """The column holds only the enumerated values."""
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), severity=severity)


def at_least(column: str, minimum: float, severity: str = CRITICAL) -> gxe.Expectation:
    """The column is never below ``minimum``."""
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=minimum, severity=severity)


def between(column: str, low: float, high: float, severity: str = CRITICAL) -> gxe.Expectation:
    """The column lies in [low, high]."""
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, severity=severity)


def no_rows(query: str, description: str, severity: str = CRITICAL) -> gxe.Expectation:
    """The query, which selects offending rows, returns none; ``{batch}`` stands for the validated rows."""
    return NoRows(unexpected_rows_query=query, description=description, severity=severity)


def row_count_between(model: str, query: str, low: int, high: int) -> gxe.Expectation:
    """A warning when the number of rows that ``query`` selects from ``model`` leaves [low, high]."""
    return RowsBetween(
        model=model, query=query, min_value=low, max_value=high, severity=WARNING, notes=f"Rows of {model}."
    )
