"""The sums of experiments, as the mart ``agg_experiment_daily`` has them."""

from __future__ import annotations

from datetime import date
from typing import Final

from google.cloud import bigquery

from experiments.daily import DailySums
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import literal

MART: Final = "agg_experiment_daily"
SUMS: Final = {
    "sum_y": "sum_y",
    "sum_yy": "sum_y2",
    "sum_x": "sum_x",
    "sum_xx": "sum_x2",
    "sum_xy": "sum_xy",
    "sum_d": "sum_d",
    "sum_dd": "sum_d2",
    "sum_yd": "sum_yd",
    "sum_xd": "sum_xd",
}
"""Column → what the statistics call it."""


def daily_sums(
    warehouse: Warehouse, first: date, last: date, experiment_id: str | None = None
) -> dict[str, list[DailySums]]:
    """By experiment the published rows of [first, last]; with an id of that experiment alone.

    Raises:
        WarehouseError: BigQuery did not answer, or nothing was ever published.
    """
    settings = warehouse.settings
    asked = "" if experiment_id is None else " and experiment_id = @experiment"
    rows = warehouse.run(
        f"select experiment_id, variant, metric, metric_date, units, {', '.join(SUMS)} "
        f"from `{warehouse.table(settings.marts_dataset, MART)}` "
        f"where metric_date between {literal(first)} and {literal(last)}{asked}",
        parameters=(
            [bigquery.ScalarQueryParameter("experiment", "STRING", experiment_id)] if experiment_id else []
        ),
    )
    found: dict[str, list[DailySums]] = {}
    for row in rows:
        found.setdefault(row.experiment_id, []).append(
            DailySums(
                variant=row.variant,
                metric=row.metric,
                metric_date=row.metric_date,
                units=int(row.units),
                sums={name: row[column] for column, name in SUMS.items()},
            )
        )
    return found
