"""Days built again, alone, in another order, and over rows that are gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from runs.dbt import BuildError
from tests.dbt.conftest import Warehouse
from tests.dbt.march import AS_OF, subscription_days
from tests.marts import MARTS, Fingerprints, fingerprints

KNOWN_THEN = {
    "fct_account_features", "fct_experiment_decision", "offer_contents", "offer_decisions", "offer_segments",
}  # fmt: skip
RANGE = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")


def partitions(march: Warehouse, dataset: str, days: Sequence[str] = RANGE) -> Fingerprints:
    """The days' rows of each mart; all of those that are not of days, or of months."""
    found = fingerprints(march.settings, dataset)
    return {(mart, day): rows for (mart, day), rows in found.items() if day in days or not _is_of_days(mart)}


def _is_of_days(mart: str) -> bool:
    return MARTS[mart] is not None and mart != "agg_retention_cohorts"


def test_days_built_alone_and_backwards_are_the_days_of_the_range(march: Warehouse) -> None:
    ranged = {on: partitions(march, "audit_20260305", [on]) for on in RANGE[1:3]}
    # No trial started on the second, nobody clicked, nobody had first paid 7, 30, 60 or 90 days before, no
    # experiment before autumn; everything else has rows.
    assert MARTS.keys() - {mart for mart, _ in ranged["2026-03-02"]} == {
        "fct_trial", "agg_trial_outcomes", "agg_retention_days", "agg_orphan_touches_daily",
        "fct_experiment_exposure", "agg_experiment_daily",
    }  # fmt: skip
    for on in ("2026-03-03", "2026-03-02"):
        assert partitions(march, march.build(on, on, AS_OF), [on]) == ranged[on]


def test_marts_as_known_then_begin_with_the_day_that_they_are_asked_for(march: Warehouse) -> None:
    """The others begin where late events do; what both say of a day does not depend on it.

    A build over what is there replaces it: of the days before, the first kind has nothing left.
    """
    before = partitions(march, "audit_20260305")

    march.build("2026-03-01", "2026-03-05", AS_OF, known_start="2026-03-04")

    assert partitions(march, "audit_20260305") == {
        (mart, day): rows
        for (mart, day), rows in before.items()
        if mart not in KNOWN_THEN or day >= "2026-03-04"
    }

    # As the tests after it want it.
    march.build("2026-03-01", "2026-03-05", AS_OF)
    assert partitions(march, "audit_20260305") == before


def test_a_day_that_lost_its_rows_becomes_empty(march: Warehouse) -> None:
    assert subscription_days(march, "brief", "state") != []
    march.query("delete from raw.subscription_events where subscription_id = 'brief'")
    history = ["int_subscription_events", "int_subscription_lives", "int_subscription_versions"]
    days = ["int_subscription_periods", "int_subscription_days", "fct_subscription_daily"]
    march.build("2026-03-01", "2026-03-05", AS_OF, [*history, *days])
    assert subscription_days(march, "brief", "state") == []


def test_an_audit_dataset_holds_what_was_built_last_and_nothing_else(march: Warehouse) -> None:
    march.build("2026-03-05", "2026-03-05", AS_OF, ["fct_subscription_daily"])
    assert march.rows("audit_20260305.fct_subscription_daily", "distinct snapshot_date", "1") == [
        ("2026-03-05",)
    ]


def test_a_failing_node_is_named_with_its_reason(march: Warehouse) -> None:
    march.query("drop view audit_20260305.stg_billing__plans")
    with pytest.raises(BuildError, match=r"model int_subscription_days: error: .*stg_billing__plans"):
        march.build("2026-03-05", "2026-03-05", AS_OF, select=["int_subscription_days"])

    # Clearing `build` builds all that the model reads.
    march.build("2026-03-05", "2026-03-05", AS_OF, select=["stg_billing__plans", "int_subscription_days"])
