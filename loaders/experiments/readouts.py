"""The mart ``experiment_readout``: what every experiment had shown by the end of each day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any, Final

from experiments.daily import DayReadout
from experiments.declaration import Experiment
from experiments.results import Interval
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import column, insert_statement, literal

MART: Final = "experiment_readout"
DESCRIPTION: Final = (
    "What every running experiment and holdout had shown by the end of a UTC day: one row per arm (control "
    "is what it is compared with) and metric. Written after each publication from the sums of "
    "agg_experiment_daily; a day is replaced whole. Values are in the metric's unit, US dollars for money."
)
_ROWS_AT_ONCE: Final = 500
"""A statement's text has to stay below BigQuery's megabyte."""


SCHEMA: Final = (
    column(
        "readout_date", "DATE", "The UTC day at whose end this was known. Partition column; filter on it."
    ),
    column("experiment_id", "STRING", "The experiment; holdout-global and holdout-<rule> are the holdouts."),
    column("experiment_version", "INT64", "Version of its declaration, by which it is judged."),
    column("arm", "STRING", "The variant that is compared with control."),
    column("metric", "STRING", "The metric, as in experiments/metrics/."),
    column("metric_role", "STRING", "success, guardrail or deterioration."),
    column("control_arm", "STRING", "The variant that it is compared with."),
    column("exposed_accounts", "INT64", "Accounts of the arm so far."),
    column("exposed_control_accounts", "INT64", "Accounts of control so far."),
    column("measured_accounts", "INT64", "Of the arm those whose window after the exposure is complete."),
    column("measured_control_accounts", "INT64", "The same of control."),
    column("control_value", "FLOAT64", "Mean per account of control, or the ratio of the sums, as observed."),
    column("arm_value", "FLOAT64", "The same of the arm."),
    column("difference", "FLOAT64", "Arm minus control, less what the covariate explains."),
    column(
        "difference_low", "FLOAT64", "95% interval of the difference; always valid between planned looks."
    ),
    column("difference_high", "FLOAT64", "Its upper end."),
    column(
        "fixed_interval_low",
        "FLOAT64",
        "Of the interval as if this were the only look; not to be decided by where there are others.",
    ),
    column("fixed_interval_high", "FLOAT64", "Its upper end."),
    column("always_valid_low", "FLOAT64", "Of an interval that holds however often one looks."),
    column("always_valid_high", "FLOAT64", "Its upper end."),
    column("p_value", "FLOAT64", "Two-sided, of this test alone; null where the data cannot say."),
    column("p_value_corrected", "FLOAT64", "Holm's, over success metrics and arms; where there is one look."),
    column("p_value_not_worse", "FLOAT64", "One-sided, that a guardrail is worse by its margin or more."),
    column("relative", "FLOAT64", "Difference over control."),
    column("relative_low", "FLOAT64", "Of its interval."),
    column("relative_high", "FLOAT64", "Its upper end."),
    column("variance_reduction", "FLOAT64", "Share of the variance that the covariate takes away."),
    column("required_accounts", "INT64", "Of the whole experiment, for the minimum effect or the margin."),
    column("metric_status", "STRING", "improved, worse, not worse (than the margin) or unclear."),
    column("sample_ratio_p_value", "FLOAT64", "Whether the arms have the accounts they were meant to have."),
    column("sample_ratio_verdict", "STRING", "ok, warn (p < 0.01) or block (p < 0.001)."),
    column("mismatched_accounts", "INT64", "Logged in another variant than was drawn; blocks above 0.1%."),
    column("is_planned_look", "BOOL", "Whether it may be decided on this day."),
    column("days_left", "INT64", "Until the needed accounts are there, at the present pace."),
    column("arm_verdict", "STRING", "Of this arm alone."),
    column("verdict", "STRING", "ship, do not ship, keep running, stop or blocked."),
    column("reasons", "STRING", "The verdict's reasons in words.", mode="REPEATED"),
)


def rows_of(experiment: Experiment, found: DayReadout) -> Iterator[dict[str, Any]]:
    """A row per arm and metric."""
    result = found.readout
    for arm, of_arm in result.arms.items():
        for name, metric in of_arm.metrics.items():
            low, high = _ends(metric.interval)
            fixed_low, fixed_high = _ends(metric.fixed_interval)
            always_low, always_high = _ends(metric.always_valid_interval)
            relative_low, relative_high = _ends(metric.relative_interval)
            yield {
                "readout_date": found.day,
                "experiment_id": experiment.id,
                "experiment_version": experiment.version,
                "arm": arm,
                "metric": name,
                "metric_role": metric.role,
                "control_arm": result.control,
                "exposed_accounts": of_arm.units,
                "exposed_control_accounts": result.control_units,
                "measured_accounts": found.measured[arm, name],
                "measured_control_accounts": found.measured[result.control, name],
                "control_value": metric.control,
                "arm_value": metric.treatment,
                "difference": metric.difference,
                "difference_low": low,
                "difference_high": high,
                "fixed_interval_low": fixed_low,
                "fixed_interval_high": fixed_high,
                "always_valid_low": always_low,
                "always_valid_high": always_high,
                "p_value": metric.p_value,
                "p_value_corrected": metric.p_value_adjusted,
                "p_value_not_worse": metric.p_value_not_worse,
                "relative": metric.relative,
                "relative_low": relative_low,
                "relative_high": relative_high,
                "variance_reduction": metric.variance_reduction,
                "required_accounts": metric.required_units,
                "metric_status": metric.status,
                "sample_ratio_p_value": result.sample_ratio.p_value,
                "sample_ratio_verdict": result.sample_ratio.verdict,
                "mismatched_accounts": found.mismatches,
                "is_planned_look": result.is_planned_look,
                "days_left": result.days_left,
                "arm_verdict": of_arm.verdict,
                "verdict": result.verdict,
                "reasons": result.reasons,
            }


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return interval or (None, None)


def ensure_readouts(warehouse: Warehouse, dataset: str) -> str:
    """Create the mart in a dataset where it is missing; returns its full name, unquoted."""
    warehouse.ensure_dataset(dataset)
    table = warehouse.table(dataset, MART)
    warehouse.ensure_table(table, SCHEMA, partition_field="readout_date", description=DESCRIPTION)
    return table


def replace_days(warehouse: Warehouse, days: Sequence[date], rows: Iterable[Mapping[str, Any]]) -> None:
    """Make ``rows`` all that the mart has of ``days``: each day in one transaction, others as they are.

    ``rows`` come in the order of their days.

    Raises:
        WarehouseError: BigQuery refused; the days that were not yet replaced are as before.
    """
    table = ensure_readouts(warehouse, warehouse.settings.marts_dataset)
    by_day = {day: list(found) for day, found in groupby(rows, lambda row: row["readout_date"])}
    batch: list[date] = []
    for day in days:
        if batch and sum(len(by_day.get(each, ())) for each in [*batch, day]) > _ROWS_AT_ONCE:
            _replace(warehouse, table, batch, by_day)
            batch = []
        batch.append(day)
    if batch:
        _replace(warehouse, table, batch, by_day)


def _replace(
    warehouse: Warehouse, table: str, days: Sequence[date], by_day: Mapping[date, list[Mapping[str, Any]]]
) -> None:
    listed = ", ".join(literal(day) for day in days)
    statements = [f"delete from `{table}` where readout_date in ({listed})"]
    rows = [row for day in days for row in by_day.get(day, ())]
    if rows:
        statements.append(insert_statement(table, [field.name for field in SCHEMA], rows))
    warehouse.run(";\n".join(["begin transaction", *statements, "commit transaction"]) + ";")
