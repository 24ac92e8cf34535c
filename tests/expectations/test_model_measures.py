"""What was measured of models is judged as marts are: what warns and what is critical, on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from loaders.scoring.measures import replace_measures
from loaders.warehouse.client import warehouse_of
from scoring.registry import ModelDecision
from scoring.stability import Measure
from segue.settings import Settings

DAY = date(2026, 3, 31)


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    return world("model-measures")


def measure(name: str, subject: str, value: float) -> Measure:
    return Measure.model_validate(
        {
            "measure": name, "subject": subject, "value": value, "warn_above": 0.1, "critical_above": 0.25,
            "rows": 4_000,
        }
    )  # fmt: skip


def test_drift_is_found_in_its_feature_and_level_and_in_no_other(settings: Settings) -> None:
    from expectations.model_measures import validate_measures

    warehouse = warehouse_of(settings)
    decision = ModelDecision(
        model="churn_risk", version=2, artifact="a1", artifact_uri="gs://models/a1", decision="promoted",
        reasons=(), day=DAY, decided_at=datetime(2026, 3, 31, tzinfo=UTC), decided_by="test",
    )  # fmt: skip
    stability = [("streams_28d", 0.41), ("tenure_days", 0.12), ("market", 0.03)]
    measures = [
        *(measure("population_stability", *each) for each in stability),
        measure("missing_share", "market", 0.2),
        measure("calibration_slope", "score", 0.05),
    ]
    replace_measures(warehouse, decision, DAY, measures)
    # What was known before, and of a model that does not score any more, is not judged.
    replace_measures(warehouse, decision, DAY - timedelta(days=1), [measure("missing_share", "market", 0.9)])
    replace_measures(warehouse, replace(decision, artifact="b2"), DAY, [measure("missing_share", "seats", 1)])

    found = validate_measures(settings, DAY, ["a1"])

    assert len(found.outcomes) == 8
    [critical] = found.failures
    assert critical.expectation == "features and scores are spread as in training (critical)"
    assert "streams_28d" in critical.sample
    assert "tenure_days" not in critical.sample
    assert [(each.expectation, each.unexpected_count) for each in found.warnings] == [
        ("features and scores are spread as in training (warning)", 2),
        ("as many accounts have a value as in training (warning)", 1),
    ]
    recorded = warehouse.run(
        "select model, severity, count(*) as expectations, countif(success) as met "
        "from ops.validation_results where run_date = date '2026-03-31' group by 1, 2 order by 1, 2"
    )
    assert [tuple(row.values()) for row in recorded] == [
        ("model_measures", "critical", 4, 3),
        ("model_measures", "warning", 4, 2),
    ]
    assert Path(found.data_docs).is_file()
