"""Row-count drift: a day's rows against the published days of the week before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta

import great_expectations.expectations as gxe

from expectations.suites.suite import MartSuite, row_count_between
from loaders.warehouse.client import Warehouse
from segue.window import RunWindow

DRIFT = "row_counts"
"""The name of the suite."""
TRAILING_DAYS = 7


def trailing_counts(warehouse: Warehouse, suites: Sequence[MartSuite], day: date) -> dict[str, list[int]]:
    """Rows per published day in the week before ``day``, by model; what is not published is left out."""
    marts = warehouse.settings.marts_dataset
    published = warehouse.table_names(marts)
    first, last = day - timedelta(days=TRAILING_DAYS), day - timedelta(days=1)
    counts = " union all ".join(
        f"select '{suite.model}' as model, count(*) as row_count "
        f"from `{warehouse.table(marts, suite.model)}` "
        f"where {suite.day_column} between date '{first}' and date '{last}' group by {suite.day_column}"
        for suite in suites
        if suite.model in published
    )
    found: dict[str, list[int]] = {}
    for row in warehouse.run(counts) if counts else ():
        found.setdefault(row.model, []).append(row.row_count)
    return found


def tolerated_rows(counts: list[int], drift: float) -> tuple[int, int] | None:
    """The range of row counts within ``drift`` (a share) of the mean of ``counts``; None without any."""
    if not counts:
        return None
    mean = sum(counts) / len(counts)
    return math.floor(mean * (1 - drift)), math.ceil(mean * (1 + drift))


def drift_expectations(
    warehouse: Warehouse, suites: Sequence[MartSuite], window: RunWindow
) -> list[gxe.Expectation]:
    """A warning for each model whose rows of the run's last day drift from the week before it."""
    day = window.end_date
    watched = [suite for suite in suites if suite.watch_row_count and suite.day_column]
    counts = trailing_counts(warehouse, watched, day)
    expectations = []
    for suite in watched:
        tolerated = tolerated_rows(counts.get(suite.model, []), warehouse.settings.row_count_drift)
        if tolerated:
            of_day = f"select 1 from {window.table(suite.model)} where {suite.day_column} = date '{day}'"
            expectations.append(row_count_between(suite.model, of_day, *tolerated))
    return expectations
