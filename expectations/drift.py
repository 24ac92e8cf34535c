"""Row-count drift: a day's rows against the published days of the week before it."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from expectations.suites.suite import MartSuite, row_count_between
from loaders.warehouse.client import Warehouse

TRAILING_DAYS = 7


def trailing_counts(warehouse: Warehouse, suite: MartSuite, day: date) -> list[int]:
    """Rows per published day in the week before ``day``; days without a publication are left out."""
    settings = warehouse.settings
    table_id = f"{settings.project_id}.{settings.marts_dataset}.{suite.model}"
    if warehouse.find_table(table_id) is None:
        return []
    sql = (
        f"select count(*) as row_count from `{table_id}` "
        f"where {suite.day_column} between date '{day - timedelta(days=TRAILING_DAYS)}' "
        f"and date '{day - timedelta(days=1)}' group by {suite.day_column}"
    )
    return [row.row_count for row in warehouse.run(sql)]


def tolerated_rows(counts: list[int], drift: float) -> tuple[int, int] | None:
    """The range of row counts within ``drift`` (a share) of the mean of ``counts``; None without any."""
    if not counts:
        return None
    mean = sum(counts) / len(counts)
    return math.floor(mean * (1 - drift)), math.ceil(mean * (1 + drift))


def row_count_expectation(warehouse: Warehouse, suite: MartSuite, day: date) -> Any | None:
    """A warning for ``day`` when its rows drift from the trailing week; None when there is no such week."""
    settings = warehouse.settings
    tolerated = tolerated_rows(trailing_counts(warehouse, suite, day), settings.row_count_drift)
    return row_count_between(*tolerated) if tolerated else None
