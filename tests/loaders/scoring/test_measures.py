"""What was measured of models, and why a sample has its scores, is replaced by day and read as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from pydantic import SecretStr

from loaders.scoring.measures import (
    measures_by_day,
    newest_measures,
    replace_contributions,
    replace_measures,
)
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.erasures import record_erased, subject_hash
from scoring.contributions import Contribution, Reasons
from scoring.registry import ModelDecision
from scoring.stability import Measure
from segue.settings import Settings

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


NOW = datetime(2026, 3, 3, tzinfo=UTC)


def decided(artifact: str) -> ModelDecision:
    return ModelDecision(
        model="churn_risk", version=2, artifact=artifact, artifact_uri=f"gs://models/{artifact}",
        decision="promoted", reasons=(), day=MONDAY, decided_at=datetime(2026, 3, 2, tzinfo=UTC),
        decided_by="test",
    )  # fmt: skip


def stability(subject: str, value: float) -> Measure:
    return Measure(
        measure="population_stability", subject=subject, value=value, warn_above=0.1, critical_above=0.25,
        rows=4_000,
    )  # fmt: skip


SLOPE = Measure(
    measure="calibration_slope", subject="score", value=0.3, warn_above=0.2, critical_above=0.5, rows=900,
    trained=1.0, found=0.7,
)  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    return warehouse_of(world("measures", erasure_salt=SecretStr("salt")))


def test_measures_of_a_day_take_the_place_of_earlier_ones_of_their_kind(warehouse: Warehouse) -> None:
    assert measures_by_day(warehouse, "a1", MONDAY, TUESDAY) == []
    replace_measures(warehouse, decided("a1"), MONDAY, [stability("streams_28d", 0.5), SLOPE])
    replace_measures(warehouse, decided("b2"), MONDAY, [stability("streams_28d", 0.01)])
    replace_measures(warehouse, decided("a1"), TUESDAY, [stability("tenure_days", 0.12)])

    replace_measures(warehouse, decided("a1"), MONDAY, [stability("streams_28d", 0.31)])

    found = measures_by_day(warehouse, "a1", MONDAY, TUESDAY)
    assert [(each.day, each.measures) for each in found] == [
        (MONDAY, (stability("streams_28d", 0.31), SLOPE)),
        (TUESDAY, (stability("tenure_days", 0.12),)),
    ]
    rows = warehouse.run(
        "select level, accounts from ops.model_measures where artifact = 'a1' order by value"
    )
    assert [(row.level, row.accounts) for row in rows] == [
        ("warn", 4_000),
        ("warn", 900),
        ("critical", 4_000),
    ]


def test_the_newest_of_each_counts_for_a_week(warehouse: Warehouse) -> None:
    replace_measures(warehouse, decided("c3"), MONDAY, [stability("streams_28d", 0.5), SLOPE])
    replace_measures(warehouse, decided("c3"), TUESDAY, [stability("streams_28d", 0.02)])

    assert newest_measures(warehouse, "c3", TUESDAY) == [stability("streams_28d", 0.02), SLOPE]
    assert newest_measures(warehouse, "c3", MONDAY) == [stability("streams_28d", 0.5), SLOPE]
    assert newest_measures(warehouse, "c3", date(2026, 3, 9)) == [stability("streams_28d", 0.02)]
    assert newest_measures(warehouse, "c3", date(2026, 3, 10)) == []


def test_a_sample_says_of_each_account_what_its_score_is_made_of(warehouse: Warehouse) -> None:
    top = (Contribution("streams_28d", 3.0, -0.5), Contribution("market", None, 0.25))
    reasons = Reasons(score=0.4, raw_score=-0.5, base=-0.5, top=top, rest=0.25)
    replace_contributions(warehouse, decided("a1"), MONDAY, [("old", reasons)], NOW)

    replace_contributions(warehouse, decided("a1"), MONDAY, [("ann", reasons)], NOW)

    rows = warehouse.run(
        "select account_id, place, feature, value, contribution from ops.score_contributions "
        "where run_date = date '2026-03-02' order by place"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("ann", 0, None, None, 0.25),
        ("ann", 1, "streams_28d", "3.0", -0.5),
        ("ann", 2, "market", None, 0.25),
    ]


def test_who_is_erased_while_a_sample_is_made_is_not_in_it(warehouse: Warehouse) -> None:
    reasons = Reasons(score=0.4, raw_score=-0.5, base=-0.5, top=(), rest=0.0)
    began = datetime.now(UTC)
    gone = subject_hash(warehouse.settings, "erased-account")
    record_erased(warehouse, "e1", [("account", gone)], "begun", {})

    replace_contributions(
        warehouse, decided("e5"), TUESDAY, [("erased-account", reasons), ("ben", reasons)], began
    )

    rows = warehouse.run("select distinct account_id from ops.score_contributions where artifact = 'e5'")
    assert [row.account_id for row in rows] == ["ben"]
