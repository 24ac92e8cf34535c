"""Whether models still see what they learned from: Great Expectations over the measures of a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from expectations.checks import Check, outcome_of, record, run_checks
from expectations.gate import GateResult
from expectations.kept_results import keep_results
from expectations.suites.suite import CRITICAL, WARNING, no_rows
from loaders.scoring.measures import MEASURES, NEWEST_DAYS
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import literal, ops_table
from scoring.stability import LIMITS
from segue.settings import Settings

KEY: Final = ("model_name", "artifact", "measure", "subject")
WORDS: Final = {
    "population_stability": "features and scores are spread as in training",
    "missing_share": "as many accounts have a value as in training",
    "calibration_bias": "as many events happened as were predicted",
    "calibration_slope": "predictions are as far apart as what happened",
}


def validate_measures(settings: Settings, day: date, artifacts: Sequence[str]) -> GateResult:
    """Judge what is known of trained models by the end of a day; results stand beside those of the gate.

    Of every measure the newest counts, of the last ``NEWEST_DAYS``: a calibration is measured when a model is
    trained, which is not every day. Critical failures stop nothing here: they alert, and block a promotion.

    Raises:
        WarehouseError: BigQuery did not answer.
        ObjectStoreError: results cannot be kept.
    """
    warehouse = warehouse_of(settings)
    table = ops_table(settings, MEASURES)
    since = day - timedelta(days=NEWEST_DAYS - 1)
    newest = (
        f"select * from `{table}` where run_date between {literal(since)} and {literal(day)} "
        f"and artifact in unnest({literal(sorted(artifacts))}) "
        "qualify row_number() over (partition by artifact, measure, subject order by run_date desc) = 1"
    )
    check = Check(MEASURES, newest, list(_expectations()), KEY)
    with TemporaryDirectory() as folder:
        results = run_checks(warehouse, settings.ops_dataset, [check], f"models on {day}", Path(folder))
        outcomes = tuple(outcome_of(name, result) for name, result in results)
        record(warehouse, outcomes, day, day, day)
        front_page = keep_results(settings, Path(folder), f"{MEASURES}_{day:%Y%m%d}")
    return GateResult(outcomes, front_page)


def _expectations() -> Iterator[object]:
    """Of each measure two: up to where it warns, and up to where it is critical."""
    for measure in LIMITS:
        for severity, limit in ((CRITICAL, "critical_above"), (WARNING, "warn_above")):
            yield no_rows(
                f"select {', '.join(KEY)}, value, {limit} from {{batch}} "
                f"where measure = '{measure}' and value > {limit} order by value desc",
                f"{WORDS[measure]} ({severity})",
                severity=severity,
            )
