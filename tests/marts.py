"""Reading published marts back in a form that two builds can be compared by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings

MARTS = {
    "dim_account": None,
    "dim_date": None,
    "dim_plan": None,
    "fct_subscription_daily": "snapshot_date",
    "fct_subscription_event": "event_date",
    "fct_subscriber_daily": "snapshot_date",
    "agg_subscribers_daily": "snapshot_date",
    "agg_mrr_movements_daily": "snapshot_date",
    "fct_churn": "churn_date",
    "fct_trial": "trial_date",
    "agg_trial_outcomes": "trial_start_date",
    "agg_upsell_daily": "measured_date",
    "agg_retention_cohorts": "activity_month",
    "agg_retention_days": "measured_date",
    "fct_payment": "payment_date",
    "agg_revenue_daily": "revenue_date",
    "agg_revenue_monthly": "closing_date",
    "fct_offer_journey": "journey_date",
    "agg_conversions_daily": "journey_date",
    "agg_conversion_funnel": "journey_date",
    "agg_orphan_touches_daily": "touch_date",
    "fct_experiment_decision": "decision_date",
    "fct_experiment_exposure": "exposure_date",
    "agg_experiment_daily": "metric_date",
    "fct_account_features": "feature_date",
    "offer_contents": "feature_date",
    "offer_decisions": "decision_date",
    "offer_segments": "segment_date",
}
"""Every published mart with its partition column, none where it is published whole."""


Fingerprints = dict[tuple[str, str], tuple[int, str]]
"""(mart, day) → (rows, hash of the rows whatever their order); the day is empty for a mart without days."""


def mart_rows(settings: Settings, mart: str, dataset: str | None = None) -> list[dict[str, Any]]:
    """All rows of a mart as published, or as another dataset has it."""
    return [row for batch in _read(settings, mart, dataset) for row in batch.to_pylist()]


def fingerprints(settings: Settings, dataset: str | None = None) -> Fingerprints:
    """Every partition of every mart as published, or as another dataset has it."""
    return {
        (mart, day): found
        for mart, day_column in MARTS.items()
        for day, found in table_fingerprints(settings, dataset, mart, day_column).items()
    }


def table_fingerprints(
    settings: Settings, dataset: str | None, table: str, day_column: str | None
) -> dict[str, tuple[int, str]]:
    """Day → (rows, hash of the rows whatever their order)."""
    batches = list(_read(settings, table, dataset))
    if not batches:
        return {}
    rows = pa.Table.from_batches(batches)
    for place, field in enumerate(rows.schema):
        # What DuckDB has no type for.
        if pa.types.is_decimal256(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).cast(pa.string()))
    day = f"cast({day_column} as varchar)" if day_column else "''"
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("rows", rows)
        found = connection.execute(
            f"""
            select day, count(*), sha256(string_agg(text, chr(10) order by text))
            from (select {day} as day, cast(rows as varchar) as text from rows)
            group by day
            """
        )
        return {day: (count, digest) for day, count, digest in found.fetchall()}


def _read(settings: Settings, table: str, dataset: str | None) -> Iterator[pa.RecordBatch]:
    name = f"{settings.project_id}.{dataset or settings.marts_dataset}.{table}"
    return warehouse_of(settings).read_arrow(name)
